"""Samples of a two-dimensional mixture over its density."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...checking import as_float, check_finite
from ...errors import InvalidParameterError
from ...mixture import GaussianMixture
from .. import csv, page
from .picture import picture
from .style import BLUE, GREY, axes_to_draw_on, check_mapping

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_samples", "sample_figure"]

Array = NDArray[np.float64]

_GRID = 90
#: of the highest density: a Gaussian's contours at 1, 2 and 3 standard deviations
_LEVELS = np.exp(-0.5 * np.array([9.0, 4.0, 1.0]))


def plot_samples(samples: ArrayLike, q0: GaussianMixture | None = None, ax: Axes | None = None) -> Axes:
    """Dots over the contours of the true density.

    samples : (M, 2)
    q0      : the law that they should have, two-dimensional with a density; None draws dots alone
    ax      : axes to draw on; None makes a figure of its own
    Contours lie at e^{-1/2}, e^{-2} and e^{-9/2} of the highest density.
    """
    points = _points("plot_samples", samples)
    _check_law("plot_samples", q0)
    ax = axes_to_draw_on("plot_samples", ax)
    if q0 is not None:
        x, y, density = _density(q0)
        ax.contour(x, y, density, levels=_LEVELS * density.max(), colors=GREY, linewidths=0.8)
    ax.plot(*points.T, ".", color=BLUE, markersize=3.6, alpha=0.8, markeredgewidth=0)
    ax.set_aspect("equal")
    ax.grid(False)
    return ax


def sample_figure(
    name: str,
    samples: Mapping[str, ArrayLike],
    q0: GaussianMixture,
    where: str,
    notes: Mapping[str, str] | None = None,
) -> page.Figure:
    """A panel of `plot_samples` for each sampler, all on the same scale.

    notes : what to write under a label, such as a distance
    """
    given = check_mapping("plot_samples", "samples", samples, "sampler")
    points = {label: _points("plot_samples", x) for label, x in given.items()}
    _check_law("plot_samples", q0)
    said = dict(notes or {})
    columns = min(3, len(points))
    rows = -(-len(points) // columns)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for panel, (label, x) in zip(panels, points.items()):
            plot_samples(x, q0, panel)
            panel.set_title(f"{label}\n{said[label]}" if label in said else label)
            panel.set(xticks=[], yticks=[])
            for spine in panel.spines.values():
                spine.set_visible(False)
        for panel in panels[len(points) :]:
            panel.set_visible(False)
        low, high = _window(q0)
        panels[0].set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))

    told = "; ".join(f"{label}: {said[label]}" for label in points if label in said)
    return picture(
        name,
        draw,
        size=(2.5 * columns + 0.2, 2.8 * rows),
        caption=f"Samples (blue) over the contours of the true density (grey); {where}. Look for dots between the "
        "modes, for modes that are too narrow or too wide, and for modes with too few.",
        alt=f"Scatter plots over density contours, one for each of {', '.join(points)}. {told}".strip(),
        csv=csv.dumps(
            ("sampler", "x", "y"), ((label, *row) for label, x in points.items() for row in x.tolist())
        ),
    )


def _points(who: str, samples: Any) -> Array:
    points = as_float(who, "samples", samples)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise InvalidParameterError(f"{who}: samples must have shape (M, 2), M >= 1; got {points.shape}")
    check_finite(who, "samples", points)
    return points


def _check_law(who: str, q0: Any) -> None:
    if q0 is None:
        return
    if not isinstance(q0, GaussianMixture) or q0.d != 2 or not (q0.eigenvalues() > 0).all():
        raise InvalidParameterError(
            f"{who}: q0 must be a GaussianMixture in two dimensions with positive-definite covariances; got "
            f"{type(q0).__name__}{f' with d = {q0.d}' if isinstance(q0, GaussianMixture) else ''}"
        )


def _window(q0: GaussianMixture) -> tuple[Array, Array]:
    """Corners of a square that holds every component to four standard deviations."""
    reach = 4 * np.sqrt(q0.eigenvalues().max(axis=-1))[:, None]
    low, high = (q0.means - reach).min(0), (q0.means + reach).max(0)
    middle, half = 0.5 * (low + high), 0.5 * (high - low).max()
    return middle - half, middle + half


def _density(q0: GaussianMixture) -> tuple[Array, Array, Array]:
    low, high = _window(q0)
    x, y = (np.linspace(a, b, _GRID) for a, b in zip(low, high))
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    return x, y, np.exp(q0.log_prob(grid))
