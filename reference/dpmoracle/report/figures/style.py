"""What all figures share: colours for light and dark paper, axes to draw on, and how numbers are written on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InvalidParameterError, require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = [
    "BLUE",
    "GOLD",
    "GREEN",
    "GREY",
    "PALETTE",
    "PURPLE",
    "RED",
    "axes_to_draw_on",
    "check_mapping",
    "decades",
    "ink",
    "key_beside",
    "plain",
    "short",
]

# After Okabe and Ito, told apart by every kind of colour vision; a contrast of 3 : 1 or more on white and on #161616.
BLUE, RED, GREEN, PURPLE, GOLD, GREY = "#1f83cf", "#d55e00", "#009e73", "#cc79a7", "#a67c00", "#808080"
PALETTE = (BLUE, RED, GREEN, PURPLE, GOLD, GREY, "#9a5b3c")

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def axes_to_draw_on(who: str, ax: Any) -> Axes:
    """`ax`, or the axes of a new figure. A new one is no figure of pyplot: nothing keeps it, no window opens."""
    require("matplotlib", "report", who)
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    if ax is None:
        ax = Figure(figsize=(7.2, 4.2), layout="constrained").add_subplot()
    if not isinstance(ax, Axes):
        raise InvalidParameterError(
            f"{who}: ax must be Matplotlib Axes, or None for new ones; got {type(ax).__name__}"
        )
    return ax


def ink() -> str:
    """The colour of text, as the caller's style has it: for what stands out on any paper."""
    import matplotlib as mpl

    return str(mpl.rcParams["text.color"])


def key_beside(ax: Axes, **options: Any) -> None:
    """The legend right of the axes, where it hides nothing."""
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False, **options)


def decades(*axes: Axis) -> None:
    """Powers of ten as characters: Matplotlib sets them as formulas, each glyph in its place for one font."""

    def name(value: float, _: float) -> str:
        return f"10{str(round(np.log10(value))).translate(_RAISED)}" if value > 0 else ""

    for axis in axes:
        axis.set_major_formatter(name)


def short(value: float) -> str:
    """Three digits for a picture."""
    return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e")


def plain(value: float, digits: int) -> str:
    """So many significant digits, without an exponent: for tables that are read down a column."""
    return np.format_float_positional(value, precision=digits, unique=False, fractional=False, trim="-")


def check_mapping(who: str, name: str, given: Any, kind: str) -> dict[str, Any]:
    """A label for each thing that is drawn."""
    if not isinstance(given, dict) or not given or not all(isinstance(label, str) for label in given):
        came = "nothing" if given is not None and isinstance(given, Sequence | dict) and not given else None
        raise InvalidParameterError(
            f"{who}: {name} must be a dict with a label for each {kind}, one at least; got "
            f"{came or type(given).__name__}"
        )
    return given
