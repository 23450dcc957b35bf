"""Γ_t and V_t with their confidence bands, one estimator beside another and beside the exact value."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidParameterError
from ...gamma_curve import GammaCurve
from ...sampled import GammaEstimate, MmseEstimate
from .. import csv, page
from .picture import picture
from .style import PALETTE, axes_to_draw_on, decades, ink, key_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["curve_figure", "plot_gamma", "plot_mmse", "plot_relative_error"]

Array = NDArray[np.float64]

#: decades below the largest that are shown, of values and of relative errors
_DEPTH, _DIGITS = 5, 12
_SYMBOL = {"gamma": "Γₜ", "mmse": "Vₜ"}
_MEANING = {
    "gamma": "Γₜ = E‖score‖²/d, the score norm per dimension",
    "mmse": "Vₜ = E Tr Cov(x₀|xₜ)/d, the error of the best prediction of x₀",
}


@dataclass(frozen=True)
class _Curve:
    """(T,) timesteps, values and standard errors under one label."""

    label: str
    t: NDArray[np.int64]
    value: Array
    stderr: Array


def plot_gamma(result: Any, ax: Axes | None = None, *, exact: Any = None, level: float = 0.95) -> Axes:
    """Γ_t over the timesteps with its confidence band, on Matplotlib axes.

    result : GammaCurve or GammaEstimate, or a dict of labels to such
    ax     : axes to draw on; None makes a figure of its own (`.figure` of what is returned)
    exact  : one of the same, drawn as a line without a band
    level  : of the band, which is normal, from the standard errors
    """
    return _plot("plot_gamma", "gamma", result, ax, exact, level)


def plot_mmse(result: Any, ax: Axes | None = None, *, exact: Any = None, level: float = 0.95) -> Axes:
    """V_t over the timesteps with its confidence band; result and exact may be MmseEstimate too. See `plot_gamma`."""
    return _plot("plot_mmse", "mmse", result, ax, exact, level)


def plot_relative_error(result: Any, ax: Axes | None = None, *, quantity: str = "mmse") -> Axes:
    """One standard error over the value, over the timesteps: how many digits each estimator knows.

    result   : as for `plot_mmse`, or for `plot_gamma` with quantity="gamma"
    ax       : axes to draw on; None makes a figure of its own
    """
    who = "plot_relative_error"
    if quantity not in _SYMBOL:
        raise InvalidParameterError(f"{who}: quantity must be one of {', '.join(_SYMBOL)}; got {quantity!r}")
    curves = _curves(who, quantity, result)
    ax = axes_to_draw_on(who, ax)
    for curve, colour in zip(curves, PALETTE * len(curves)):
        ax.plot(curve.t, _relative(curve), color=colour, label=curve.label)
    low, high = _span([_relative(curve) for curve in curves], _DIGITS)
    ax.set(
        ylim=(
            low,
            max(high, 1.0),
        ),  # before the scale: where nothing is positive it would find none, and warn
        yscale="log",
        xlabel="timestep t",
        ylabel=f"standard error of {_SYMBOL[quantity]} / {_SYMBOL[quantity]}",
    )
    decades(ax.yaxis)
    if len(curves) > 1:
        key_beside(ax)
    return ax


def curve_figure(name: str, quantity: str, result: Any, exact: Any = None, where: str = "") -> page.Figure:
    """The figure of `plot_gamma` or `plot_mmse` (quantity "gamma" or "mmse") beside the relative errors.

    where : on what data, for the caption
    """
    who, symbol = f"plot_{quantity}", _SYMBOL[quantity]
    curves = _curves(who, quantity, result)
    beside = _curves(who, quantity, exact) if exact is not None else []
    rows = [
        (curve.label, t, value, error)
        for curve in (*curves, *beside)
        for t, value, error in zip(curve.t, curve.value, curve.stderr)
    ]
    errors = {curve.label: float(np.median(np.nan_to_num(_relative(curve)))) for curve in curves}
    median = ", ".join(f"{label} {error:.1g}" for label, error in errors.items())
    truth = "The dashed line is the exact value. " if beside else ""

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        _plot(who, quantity, result, left, exact, 0.95)
        plot_relative_error(result, right, quantity=quantity)
        if left.get_legend():  # one key for both, with the exact line that only the left has
            left.get_legend().remove()
            key_beside(right, handles=left.get_lines())

    first = curves[0]
    return picture(
        name,
        draw,
        size=(9.6, 3.7),
        caption=f"{_MEANING[quantity]}; {where}. {truth}Left, bands of 95%; where a band leaves the picture the "
        f"estimate says nothing. Right, the standard error over the value; its median over t: {median}.",
        alt=f"Left, {symbol} against the timestep on a logarithmic scale ({', '.join(errors)}): from "
        f"{first.value[0]:.3g} at t = {first.t[0]} to {first.value[-1]:.3g} at t = {first.t[-1]}. Right, relative "
        f"standard errors, medians {median}.",
        csv=csv.dumps(("series", "t", quantity, "standard_error"), rows),
    )


def _plot(who: str, quantity: str, result: Any, ax: Axes | None, exact: Any, level: float) -> Axes:
    if not 0 < level < 1:
        raise InvalidParameterError(f"{who}: level must lie in (0, 1); got {level!r}")
    curves = _curves(who, quantity, result)
    beside = _curves(who, quantity, exact) if exact is not None else []
    ax = axes_to_draw_on(who, ax)
    half = NormalDist().inv_cdf(0.5 + level / 2)
    floor, top = _span([curve.value for curve in beside or curves], _DEPTH)
    for curve, colour in zip(curves, PALETTE * len(curves)):
        low, high = (np.maximum(curve.value + sign * half * curve.stderr, 0.1 * floor) for sign in (-1, 1))
        ax.fill_between(curve.t, low, high, color=colour, alpha=0.22, linewidth=0)
        ax.plot(curve.t, curve.value, color=colour, label=curve.label)
    for curve in beside:
        ax.plot(
            curve.t,
            curve.value,
            color=ink(),
            linewidth=1.0,
            linestyle=(0, (4, 3)),
            label=f"exact ({curve.label})",
        )
    ax.set(ylim=(floor, top), yscale="log", xlabel="timestep t", ylabel=_SYMBOL[quantity])
    ax.yaxis.set_label_text(_SYMBOL[quantity], rotation=0, ha="right", va="center")
    decades(ax.yaxis)
    if len(curves) + len(beside) > 1:
        key_beside(ax)
    return ax


def _curves(who: str, quantity: str, result: Any) -> list[_Curve]:
    given = result if isinstance(result, dict) else {_own_label(result): result}
    if not given:
        raise InvalidParameterError(f"{who}: result must have one curve at least; got an empty dict")
    return [_Curve(str(label), *_read(who, quantity, one)) for label, one in given.items()]


def _own_label(one: Any) -> str:
    return str(getattr(one, "estimator", getattr(one, "method", "")))


def _read(who: str, quantity: str, one: Any) -> tuple[NDArray[np.int64], Array, Array]:
    if isinstance(one, GammaCurve):
        value, error = getattr(one, quantity), getattr(one, f"{quantity}_stderr")
        return np.arange(1, one.schedule.N + 1), value[1:], error[1:]
    if quantity == "mmse" and isinstance(one, GammaEstimate):
        one = one.mmse()
    if not isinstance(one, GammaEstimate if quantity == "gamma" else MmseEstimate):
        takes = (
            "GammaCurve or GammaEstimate"
            if quantity == "gamma"
            else "GammaCurve, MmseEstimate or GammaEstimate"
        )
        raise InvalidParameterError(
            f"{who}: result must be a {takes}, or a dict of labels to such; got {type(one).__name__}"
        )
    return one.timesteps, getattr(one, quantity), one.stderr


def _span(lines: list[Array], depth: int) -> tuple[float, float]:
    """Limits of a logarithmic axis: all that is positive, but no deeper than so many decades."""
    positive = np.concatenate([line[line > 0] for line in lines])
    if not positive.size:
        return 0.1, 1.0
    return max(0.5 * float(positive.min()), float(positive.max()) * 10.0**-depth), 2.0 * float(positive.max())


def _relative(curve: _Curve) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):  # V of points underflows to 0 at high SNR
        relative: Array = curve.stderr / np.abs(curve.value)
    return np.where(np.isfinite(relative), relative, np.nan)
