"""A drawing made fit for the page: checked, its names made unique, its black and white those of the page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from ..errors import InvalidParameterError

__all__ = ["inline"]

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_DRAWING = frozenset((
    "svg", "g", "defs", "symbol", "use", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text",
    "tspan", "title", "desc", "image", "clipPath", "mask", "marker", "pattern", "linearGradient", "radialGradient",
    "stop",
))  # fmt: skip
_DROPPED = frozenset(
    ("metadata", "style")
)  # Matplotlib's style begins with `*` and would reach the whole page
_PAGE_COLOURS = (
    (re.compile(r"(?<![\w-])(?:#000000|#000|black)(?![\w-])"), "currentColor"),
    (re.compile(r"(?<![\w-])(?:#ffffff|#fff|white)(?![\w-])"), "var(--paper)"),
)


def inline(svg: str, name: str, label: str) -> str:
    """`svg` as one element to stand in HTML, role img with `label`; every id and reference is prefixed by `name`.

    Raises InvalidParameterError where it is no well-formed SVG, or where it could run or fetch anything.
    """
    if "<!ENTITY" in svg:
        raise _refused(name, "an entity declaration")
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise _refused(name, f"what is not well formed ({error})") from error
    _clean(root, name)
    if root.tag != f"{{{_SVG}}}svg":
        raise _refused(name, "no <svg> element")
    root.set("role", "img")
    root.set("aria-label", label)
    for size in ("width", "height"):
        root.set(size, _pixels(root.get(size, "100%")))
    if root.get("width", "").isdigit():  # a small drawing is not blown up where the page wants it readable
        root.set("style", f"--natural: {root.get('width')}px; {root.get('style', '')}".rstrip("; "))
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element, name: str) -> None:
    """Check an element and all below it; drop what is not drawn."""
    kind = element.tag.removeprefix(f"{{{_SVG}}}")
    if kind not in _DRAWING:
        raise _refused(name, f"<{kind}>")
    given = dict(element.attrib)
    element.attrib.clear()
    for key, value in given.items():
        key = key.removeprefix(f"{{{_XLINK}}}")
        if key.startswith(("{", "on")):
            if key.startswith("on"):
                raise _refused(name, f"the handler {key}")
            continue
        if key == "href" and kind == "image":
            if not value.startswith("data:image/png;base64,"):
                raise _refused(name, f"the address {value[:60]!r}")
        elif key == "href":
            if not value.startswith("#"):
                raise _refused(name, f"the address {value[:60]!r}")
            value = f"#{name}-{value[1:]}"
        elif key == "id":
            value = f"{name}-{value}"
        elif key in (
            "style",
            "fill",
            "stroke",
            "stop-color",
            "clip-path",
            "mask",
            "marker-end",
            "marker-start",
        ):
            value = _paint(value, name)
        elif "url(" in value.lower():
            raise _refused(name, f"an address in {key}")
        element.set(key, value)
    for child in list(element):
        if child.tag.removeprefix(f"{{{_SVG}}}") in _DROPPED:
            element.remove(child)
        else:
            _clean(child, name)


def _paint(value: str, name: str) -> str:
    """Colours of the page for black and white; url(#id) prefixed, any other address refused."""
    bare = re.sub(r"""url\(\s*["']?#([\w.-]+)["']?\s*\)""", "", value)
    if re.search(r"url|image|@|\\|/\*", bare, re.IGNORECASE):
        raise _refused(name, f"an address in the style {value[:60]!r}")
    value = re.sub(r"""url\(\s*["']?#([\w.-]+)["']?\s*\)""", rf"url(#{name}-\1)", value)
    for colour, ours in _PAGE_COLOURS:
        value = colour.sub(ours, value)
    return value


def _pixels(size: str) -> str:
    """Matplotlib writes points; 4/3 pixels each."""
    number = re.fullmatch(r"([\d.]+)pt", size)
    return f"{float(number[1]) * 4 / 3:.0f}" if number else size


def _refused(name: str, what: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"figure {name}: svg must be one plain drawing that runs and fetches nothing; it has {what}"
    )
