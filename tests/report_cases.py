"""Pages for the tests of the report: an ordinary one, one whose every text is hostile, one of many rows."""

from __future__ import annotations

import math

from dpmoracle.report import csv
from dpmoracle.report.page import Column, Figure, Lines, Outcome, Page, Section, Table

HOSTILE = (
    "<script>window.pwned = 1</script>",
    '"><img src=x onerror="window.pwned = 2">',
    "</td></tr></table></main></style><b onclick=window.pwned=3>bold</b>",
    "{{ 7 * 7 }} {% raw %} {# gone #}",
    "javascript:window.pwned=4",
    "' onmouseover='window.pwned=5",
    "&lt;b&gt; &amp; &#60;",
    "]]><!-- <svg onload=window.pwned=6>",
    '=HYPERLINK("http://127.0.0.1/","x")',
)

SVG = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="360pt" height="180pt" viewBox="0 0 360 180"
     xmlns="http://www.w3.org/2000/svg" version="1.1">
 <metadata><x xmlns="http://example.org/rdf">who</x></metadata>
 <defs><style type="text/css">*{stroke-linejoin: round}</style><clipPath id="c1"><rect width="9" height="9"/></clipPath>
  <path id="m1" d="M 0 3.5 L 0 -3.5" style="stroke: #000000; stroke-width: 0.8"/></defs>
 <g id="figure_1"><path id="line" d="M 10 170 L 350 10" clip-path="url(#c1)" style="fill: none; stroke: #0072b2"/>
  <use xlink:href="#m1" x="20" y="20" style="fill: #ffffff; stroke: #000000"/>
  <g><title>value 0.5</title><rect x="100" y="40" width="60" height="30" style="fill: #d55e00"/></g>
  <text x="20" y="100" style="font-size: 10px">Γ against t</text></g>
</svg>"""


def figure(name: str = "gamma", label: str = "Γ falls", svg: str = SVG) -> Figure:
    return Figure(
        name, svg, f"What to see: {label}", f"Alt: {label}", csv.dumps(("t", "Γ"), [(1, 0.1), (2, 1 / 3)])
    )


VALUES = (3.0, math.nan, 1e-9, None, -2.5, math.inf, 20, 0.5, -math.inf, 100.0)
WORDS = (
    "holds",
    "refuted, as expected",
    "holds",
    "error",
    "holds",
    "undecided",
    "holds",
    "holds",
    "holds",
    "error",
)
TONES = {"holds": "good", "refuted, as expected": "expected", "error": "bad", "undecided": "open"}
NAMES = ("k10", "k9", "k1", "zeta", "alpha", "Beta", "k2", "gamma", "omega", "eta")


def claims(rows: int = 10) -> Table:
    return Table(
        ("claim", "verdict", Column("error", ".1e"), "statement and evidence"),
        tuple(
            (
                Lines(NAMES[i % 10] + (f".{i // 10}" if i >= 10 else ""), f"source {i}"),
                Outcome(WORDS[i % 10], TONES[WORDS[i % 10]]),
                VALUES[i] if rows == 10 else (i * 7919 % rows) / 3,
                Lines(
                    r"\sigma_n^2=\bar\beta_n\text{ for }n=" + str(i),
                    "quadrature on a long road " * 3,
                    latex=True,
                ),
            )
            for i in range(rows)
        ),
        "All claims",
    )


def page(rows: int = 10) -> Page:
    numbers = Table(("t", "V"), tuple((t, 1 / t) for t in range(1, 5)), "V at four timesteps")
    return Page(
        "What holds",
        Outcome(f"{rows} claims", "good"),
        "dpmoracle validate --only 'notes.*'",
        7,
        (
            Section("Curves", ("A paragraph.",), (figure(), figure("other")), (numbers,)),
            Section("Claims", tables=(claims(rows),)),
        ),
        (("Data", "digits (1797 x 64)"),),
    )


def hostile_page() -> Page:
    rows = tuple(
        (Lines(text, text), Outcome(text, "bad"), text, Lines(text, text, latex=True)) for text in HOSTILE
    )
    everything = " ".join(HOSTILE)
    table = Table(tuple(HOSTILE[:4]), rows, everything)
    drawn = tuple(
        Figure(f"f{i}", SVG, text, text, csv.dumps((text,), [(text,)])) for i, text in enumerate(HOSTILE)
    )
    facts = tuple((text, text) for text in HOSTILE)
    section = Section(everything, HOSTILE, drawn, (table,))
    return Page(everything, Outcome(everything, "bad"), everything, None, (section,), facts)
