"""From a function that draws to the figure of a page: an SVG whose text is text, for light and dark paper."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.dom import minidom

from ...errors import require
from .. import page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["picture", "svg_of", "tip"]

_TIP, _BREAK = "tip: ", "\u2028"  # an attribute of XML keeps no line ends

_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same widths on every machine
    "font.size": 9.5,
    "grid.alpha": 0.35,
    "grid.color": "#808080",
    "grid.linewidth": 0.5,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",
    "text.parse_math": False,
}
_FONT = "system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"


def picture(
    name: str,
    draw: Callable[[Figure], object],
    *,
    caption: str,
    alt: str,
    csv: str,
    size: tuple[float, float] = (7.6, 4.2),
) -> page.Figure:
    """What `draw` puts on an empty figure of `size` inches, as a figure of a page.

    name : short and unique in the page; with the same drawing it gives the same bytes
    """
    require("matplotlib", "report", "dpmoracle.report")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():  # a report has its own style, whatever that of the caller's session
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        mpl.rcParams["svg.hashsalt"] = name
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        return page.Figure(name, svg_of(figure), caption, alt, csv)


def tip(*lines: str) -> str:
    """A gid that `svg_of` makes the <title> of its drawing, which a browser shows on hover."""
    return _TIP + _BREAK.join(lines)


def svg_of(figure: Figure) -> str:
    """A figure as one <svg> element: transparent, without a date, its text in the fonts of the reader's system."""
    out = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    whole = minidom.parseString(out.getvalue())
    root: Any = whole.documentElement
    for tag in ("metadata", "style"):  # that style begins with `*`: the root has it instead
        for found in root.getElementsByTagName(tag):
            found.parentNode.removeChild(found)
    for element in root.getElementsByTagName("*"):
        gid = element.getAttribute("id")
        if gid.startswith(_TIP):
            title = whole.createElement("title")
            title.appendChild(whole.createTextNode(gid.removeprefix(_TIP).replace(_BREAK, "\n")))
            element.insertBefore(title, element.firstChild)
            element.removeAttribute("id")
        if element.hasAttribute("style"):
            element.setAttribute(
                "style", re.sub(r"font-family: [^;]*;? ?", "", element.getAttribute("style"))
            )
    root.setAttribute("fill", "#000000")  # Matplotlib leaves out what is the default
    root.setAttribute("style", f"stroke-linejoin: round; stroke-linecap: butt; font-family: {_FONT}")
    return str(root.toxml()) + "\n"
