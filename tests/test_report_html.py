"""The report page as text: it needs nothing from outside, keeps hostile text as text, and is refused early."""

from __future__ import annotations

import csv as standard_csv
import dataclasses
import io
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpmoracle as dpm
import report_cases
import stub_claims
from dpmoracle.bench.harness import Timing
from dpmoracle.bench.peers import Missing
from dpmoracle.bench.results import Result, Run
from dpmoracle.errors import InvalidParameterError
from dpmoracle.gamma_curve import DataRecord, GammaCurve
from dpmoracle.plan import make_plan
from dpmoracle.report import csv, html, pages, provenance
from dpmoracle.report.cells import grid
from dpmoracle.report.page import Column, Lines, Outcome, Page, Section, Table
from dpmoracle.report.svg import inline
from report_cases import HOSTILE, SVG

pytest.importorskip("jinja2")
pytest.importorskip("typer")
from typer.testing import CliRunner

from dpmoracle.cli.app import app
from dpmoracle.report import sections


@pytest.fixture(autouse=True)
def one_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the true ones, which have their own tests and take their time."""
    for name in ("validate", "gamma", "trajectory", "check", "bench"):
        monkeypatch.setattr(
            sections, f"{name}_sections", lambda *_: (Section("Figures", figures=(report_cases.figure(),)),)
        )


MATHEMATICS = {"code", "math", "mi", "mn", "mo", "mrow", "msub", "msup", "msubsup", "mspace"}
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Read(HTMLParser):
    """Elements in order, and the text in each; complains about a tag that closes nothing."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def words(read: Read) -> str:
    return "".join(data for tag, data in read.text if tag not in ("style", "script"))


def test_the_page_has_everything_it_was_given() -> None:
    text = html.render(report_cases.page())
    read = Read(text)
    told = words(read)
    for part in (
        "What holds", "10 claims", "dpmoracle validate --only 'notes.*'", "digits (1797 x 64)", "Curves", "Claims",
        "A paragraph.", "V at four timesteps", "What to see: Γ falls", "refuted, as expected", "source 3",
        dpm.__version__, np.__version__, "UTC", provenance.machine(),
    ):  # fmt: skip
        assert part in told
    assert [a["href"] for a in read.all("a")][:2] == ["#section-1", "#section-2"]
    assert {a["id"] for a in read.all("section")} == {"section-1", "section-2"}
    assert re.search(r"Seed\s*7", told)
    assert "Seed" not in words(Read(html.render(dataclasses.replace(report_cases.page(), seed=None))))


def test_nothing_is_fetched_from_outside() -> None:
    text = html.render(report_cases.page())
    read = Read(text)
    assert {tag for tag, _ in read.tags} & {"img", "iframe", "object", "embed", "base"} == set()
    addresses = [
        value
        for _, attributes in read.tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "action", "srcset", "data")
    ]
    assert addresses
    assert all(value and value.startswith(("#", "data:")) for value in addresses)
    assert "@import" not in text
    assert set(re.findall(r"url\(([^)]*)\)", text)) == {"#gamma-c1", "#other-c1"}
    assert "://" not in text.replace("http://www.w3.org/", "")
    (policy,) = (a["content"] for a in read.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-eval" not in policy
    assert re.search(r"script-src 'sha256-[\w+/]+=*'", policy)


def test_the_same_page_is_the_same_bytes_but_for_the_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "date", lambda: "today")
    assert html.render(report_cases.page()) == html.render(report_cases.page())


# hostile text ------------------------------------------------------------------------------------------------


def test_hostile_text_stays_text() -> None:
    read, plain = Read(html.render(report_cases.hostile_page())), Read(html.render(report_cases.page()))
    assert {tag for tag, _ in read.tags} <= {tag for tag, _ in plain.tags} | MATHEMATICS
    told = words(read)
    for text in HOSTILE:
        assert told.count(text) > 8
    allowed = {name for _, attributes in plain.tags for name in attributes}
    assert {name for _, attributes in read.tags for name in attributes} <= allowed | {"lspace", "rspace"}
    assert [a["aria-label"] for a in read.all("svg")] == list(HOSTILE)


@settings(max_examples=30)
@given(st.text(max_size=60))
def test_any_text_in_any_place_adds_no_element(text: str) -> None:
    def made(text: str) -> Page:
        table = Table((text, "verdict"), ((Lines(text, text), Outcome(text, "bad")),), text)
        return Page(
            text, Outcome(text, "good"), text, 0, (Section(text, (text,), (), (table,)),), ((text, text),)
        )

    usual, found = (Read(html.render(made(words))).tags for words in ("x", f"x{text}"))
    assert {tag for tag, _ in found} <= {tag for tag, _ in usual} | MATHEMATICS


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-x", "'-x"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"), ("a=1", "a=1"), ("", ""), (None, ""), (-1.5, "-1.5"), (np.float64(1e-300), "1e-300"),
        (np.int64(-3), "-3"), ('say "a", b', 'say "a", b'), ("two\nlines", "two\nlines"), (math.inf, "inf"),
    ],
)  # fmt: skip
def test_no_cell_of_the_csv_is_a_formula(cell: object, shown: str) -> None:
    rows = list(standard_csv.reader(io.StringIO(csv.dumps(("n", "=head"), [(1, cell)]), newline="")))
    assert rows == [["n", "'=head"], ["1", shown]]


def test_the_numbers_come_back_from_the_link_to_the_last_bit() -> None:
    (link, _) = (a for a in Read(html.render(report_cases.page())).all("a") if "download" in a)
    assert link["download"] == "gamma.csv"
    head, _, body = str(link["href"]).partition(",")
    assert head == "data:text/csv;charset=utf-8"
    assert list(standard_csv.reader(io.StringIO(unquote(body)))) == [
        ["t", "Γ"],
        ["1", "0.1"],
        ["2", repr(1 / 3)],
    ]


def test_a_file_name_that_is_no_unicode_does_not_stop_the_page(tmp_path: Path) -> None:
    odd = dataclasses.replace(report_cases.page(), command="dpmoracle validate --data '\udcff.npy'")
    html.write_html(tmp_path / "r.html", odd)
    assert "--data '?.npy'" in words(Read((tmp_path / "r.html").read_text(encoding="utf-8")))


# figures -----------------------------------------------------------------------------------------------------


def test_a_drawing_takes_the_colours_of_the_page_and_its_own_names() -> None:
    drawn = inline(SVG, "gamma", "what it shows")
    read = Read(drawn)
    (root,) = read.all("svg")
    assert (root["role"], root["aria-label"], root["width"], root["height"]) == (
        "img",
        "what it shows",
        "480",
        "240",
    )
    assert {a["id"] for _, a in read.tags if "id" in a} == {
        "gamma-c1",
        "gamma-m1",
        "gamma-figure_1",
        "gamma-line",
    }
    assert [a["href"] for a in read.all("use")] == ["#gamma-m1"]
    assert [a["clip-path"] for a in read.all("path") if "clip-path" in a] == ["url(#gamma-c1)"]
    assert "currentColor" in drawn
    assert "var(--paper)" in drawn
    assert not re.search(r"#000000|#ffffff|<metadata|<style|DOCTYPE|xml version", drawn)
    assert ("title", "value 0.5") in read.text


def svg(inside: str = "", root: str = "") -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1" {root}>{inside}</svg>'


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        (svg("<script>1</script>"), "<script>"),
        (svg("<foreignObject/>"), "<foreignObject>"),
        (svg("<g><a href='#x'/></g>"), "<a>"),
        (svg("<animate/>"), "<animate>"),
        (svg(root="onload='x()'"), "handler onload"),
        (svg("<path onClick='x()'/>"), "handler onClick"),
        (svg("<use href='http://example.org/x.svg#y'/>"), "address 'http"),
        (svg("<use xmlns:xlink='http://www.w3.org/1999/xlink' xlink:href='javascript:x()'/>"), "address 'javascript"),
        (svg("<image href='https://example.org/x.png'/>"), "address 'https"),
        (svg("<image href='data:image/svg+xml;base64,PHN2Zz4='/>"), "address 'data:image/svg"),
        (svg("<path style='fill: url(https://example.org/x)'/>"), "in the style"),
        (svg("<path style='fill: U\\52L(//example.org)'/>"), "in the style"),
        (svg("<path style='fill: image-set(\"x\")'/>"), "in the style"),
        (svg("<path fill='url(//example.org/#x)'/>"), "in the style"),
        (svg("<path filter='url(//example.org/#x)'/>"), "address in filter"),
        ("<!DOCTYPE svg [<!ENTITY a 'b'>]>" + svg("<text>&a;</text>"), "entity"),
        (svg("<g>"), "well formed"),
        ("<div/>", "<div>"),
        ("<g xmlns='http://www.w3.org/2000/svg'/>", "no <svg>"),
        ("<svg/>", "no <svg>"),
        ("", "well formed"),
    ],
)  # fmt: skip
def test_a_drawing_that_could_run_or_fetch_is_refused(drawn: str, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"figure f: svg must be .*{re.escape(words)}"):
        inline(drawn, "f", "label")


def test_a_raster_picture_within_is_kept() -> None:
    assert "data:image/png;base64,AAAA" in inline(svg("<image href='data:image/png;base64,AAAA'/>"), "f", "")


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "1x", "Ü", "a/b", "a.b"])
def test_a_figure_is_named_as_a_file_and_an_id(name: str) -> None:
    with pytest.raises(InvalidParameterError, match="Figure: name must be"):
        report_cases.figure(name)


def test_two_figures_of_one_name_are_refused() -> None:
    twice = (Section("s", figures=(report_cases.figure(),)), Section("t", figures=(report_cases.figure(),)))
    with pytest.raises(InvalidParameterError, match="own name; 'gamma' came twice"):
        html.render(dataclasses.replace(report_cases.page(), sections=twice))


# tables ------------------------------------------------------------------------------------------------------


def test_cells_as_they_are_shown_and_sorted() -> None:
    table = Table(
        (Column("n", ".2e"), "x", "mixed"),
        (
            (1 / 3, 1, "a"),
            (math.nan, None, 2),
            (-math.inf, True, Outcome("w", "bad")),
            (None, "7", Lines("a", "b")),
        ),
        "c",
    )
    made = grid(table)
    assert made.numeric == (True, False, False)
    assert [(cell.text, cell.key) for cell in (row[0] for row in made.rows)] == [
        ("3.33e-01", repr(1 / 3)), ("–", ""), ("-∞", "-Infinity"), ("", ""),
    ]  # fmt: skip
    assert [(c.text, c.key) for c in (row[1] for row in made.rows)] == [
        ("1", "1.0"),
        ("", ""),
        ("True", None),
        ("7", None),
    ]
    assert (made.rows[2][2].tone, made.rows[3][2].below) == ("bad", "b")
    assert not made.cards
    assert not made.broad
    told = grid(Table(("v",), ((Lines("9 ± 1", "a", value=9.0),), (Lines("?", "b", value=math.nan),)), ""))
    assert told.numeric == (True,)
    assert [row[0].key for row in told.rows] == ["9.0", ""]
    assert grid(Table(("a",), (("x" * 41,),), "")).cards
    assert grid(Table(("a",) * 8, (), "")).broad
    assert not grid(Table(("a",) * 3, (("x" * 28, "y y", "z" * 50),), "")).broad
    assert grid(Table(("a",) * 3, (("x" * 28,) * 3, ("x" * 29, "", "")), "")).broad


def test_wrong_pages_are_refused() -> None:
    with pytest.raises(
        InvalidParameterError, match="Table: every row must have 2 cells, one per column; row 1 has 1"
    ):
        Table(("a", "b"), ((1, 2), (1,)), "c")
    with pytest.raises(
        InvalidParameterError, match="tone must be one of good, expected, bad, open; got 'fine'"
    ):
        Outcome("holds", "fine")


# files and missing libraries ---------------------------------------------------------------------------------


def test_the_file_is_whole_or_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.html"
    html.write_html(path, report_cases.page())
    old = path.read_text(encoding="utf-8")
    assert old.startswith("<!DOCTYPE html>")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        html.write_html(path, report_cases.page(20))
    assert path.read_text(encoding="utf-8") == old
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


WITHOUT = (
    "import sys; sys.modules[{missing!r}] = None; import dpmoracle.claims;"
    "dpmoracle.claims.validate = lambda **_: print('the long work');"
    "from dpmoracle.cli import main; sys.exit(main(['validate', '--report', {path!r}]))"
)


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_a_missing_library_is_named_before_the_long_work(missing: str, tmp_path: Path) -> None:
    code = WITHOUT.format(missing=missing, path=str(tmp_path / "r.html"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        rf"dpmoracle validate: --report needs {missing}[^\n]*pip install 'dpmoracle\[report\]'\n", done.stderr
    )
    assert list(tmp_path.iterdir()) == []


def test_the_page_loads_no_matplotlib() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests'); import report_cases; from dpmoracle.report import html, pages;"
        "html.render(report_cases.page()); sys.exit('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], timeout=60)
    assert done.returncode == 0


# the commands ------------------------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dpmoracle.claims.validate", stub_claims.validate_with())
    np.save("points.npy", [[-1.0, 0.5], [1.0, 0.0], [0.2, -2.0]])
    curve().save("g.npz")
    return lambda *args: CliRunner().invoke(app, list(args))


def curve(mmse: Any = None, count: float = 500.0) -> GammaCurve:
    sch = dpm.Schedule.linear(12, beta_start=0.02, beta_end=0.6)
    v = 1 / (2 + sch.snr) if mmse is None else np.asarray(mmse)
    some = np.append(np.inf, np.full(12, count))
    return GammaCurve(
        v, some, some, some, some, sch, DataRecord.of(np.eye(3), "<b>.npy"), "trace", 500, 50, 0
    )


ARGUMENTS = {
    "validate": (),
    "gamma": ("points.npy", "-o", "out.npz", "--steps", "20", "-M", "60"),
    "trajectory": ("g.npz", "-K", "3", "-K", "5"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_command_writes_its_page(command: Any, name: str) -> None:
    result = command(name, *ARGUMENTS[name], "--report", "a page.html")
    assert result.exit_code == 0, result.output
    told = words(Read(Path("a page.html").read_text(encoding="utf-8")))
    line = " ".join(("dpmoracle", name, *ARGUMENTS[name], "--report", "'a page.html'"))
    assert line in told
    assert "Figures" in told
    without = command(name, *ARGUMENTS[name])
    assert without.stdout == result.stdout


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no/folder/r.html", "does not exist"),
        (".", "names a folder"),
        ("r.json", r"--report writes a .html file; got 'r.json'. Name it r.html"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused_first(
    command: Any, name: str, path: str, message: str
) -> None:
    result = command(name, *ARGUMENTS[name], "--report", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(message, " ".join(result.stderr.split()))
    assert not Path("out.npz").exists()


def test_the_page_is_no_other_file_of_the_command(command: Any) -> None:
    Path("g.html").write_bytes(Path("g.npz").read_bytes())
    for args in (("trajectory", "g.html", "-K", "3"), ("validate", "--json", "g.html")):
        result = command(*args, "--report", "g.html")
        assert result.exit_code == 2
        assert "must be another file than 'g.html'" in result.stderr


def test_the_page_is_written_when_verdicts_are_wrong_and_shows_them_first(
    command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpmoracle.claims.validate", stub_claims.validate_with(verdict="undecided"))
    assert command("validate", "--report", "r.html").exit_code == 1
    told = words(Read(Path("r.html").read_text(encoding="utf-8")))
    assert "NOT as expected" in told
    assert told.index("Not as expected") < told.index("Claims to look at") < told.index("All claims")


def test_the_table_and_the_json_survive_a_page_that_fails(
    command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise InvalidParameterError("figure f: svg must be one plain drawing")

    monkeypatch.setattr("dpmoracle.report.sections.validate_sections", broken)
    result = command("validate", "--json", "v.json", "--report", "r.html")
    assert result.exit_code == 2
    assert "all as expected" in result.stdout
    assert len(json.loads(Path("v.json").read_text(encoding="utf-8"))) == 4
    assert not Path("r.html").exists()


# what the pages say ------------------------------------------------------------------------------------------


def test_the_page_of_claims_counts_and_keeps_every_number() -> None:
    report = stub_claims.validate_with()(progress=lambda *_: None)
    made = pages.validate_page(report, "dpmoracle validate")
    ((groups,), (table,)) = (made.sections[i].tables for i in (0, -1))
    assert [row[:5] for row in groups.rows] == [("notes", 3, 1, 2, 0), ("bao2022", 1, 1, 0, 0)]
    for row, v in zip(table.rows, report, strict=True):
        assert row[0] == Lines(v.id, v.source)
        assert row[1] == Outcome(v.outcome, "good" if v.verdict == "holds" else "expected")
        assert (row[2], row[3]) == (v.measured, v.tolerance)
        assert row[4] == Lines(v.statement, v.evidence, latex=True)


@pytest.mark.parametrize(
    ("verdict", "tone"), [("holds", "bad"), ("refuted", "bad"), ("undecided", "open"), ("error", "bad")]
)
def test_what_is_not_as_expected_is_never_quiet(verdict: str, tone: str) -> None:
    report = stub_claims.validate_with(verdict=verdict)(progress=lambda *_: None)
    made = pages.validate_page(report, "")
    assert made.summary.tone == "bad"
    assert {row[1].tone for row in made.sections[0].tables[0].rows} == {tone}  # type: ignore[union-attr]
    assert len(made.sections[0].tables[0].rows) == len(report.failures)


def test_the_page_of_a_curve_says_what_to_be_wary_of() -> None:
    fine, poor = pages.gamma_page(curve(), ""), pages.gamma_page(curve(count=3), "")
    assert (fine.summary.tone, fine.sections[-1].text) == ("good", ())
    assert poor.summary.tone == "open"
    assert "effective count is below 30 at 12 timesteps (1..12) of 12" in " ".join(poor.sections[-1].text)
    bad = pages.gamma_page(curve(mmse=np.append(0, np.full(12, -1.0))), "")
    assert bad.summary.tone == "bad"
    assert "V is negative" in " ".join(bad.sections[-1].text)
    (table,) = fine.sections[-1].tables
    whole = curve()
    for t, snr, gamma, _, mmse, _, count in table.rows:
        assert (snr, gamma, mmse, count) == tuple(
            getattr(whole, name)[t] if name != "snr" else whole.schedule.snr[t]
            for name in ("snr", "gamma", "mmse", "effective_count")
        )
    assert [row[0] for row in table.rows] == list(range(1, 13))


def test_the_page_of_trajectories_has_the_costs_and_the_steps() -> None:
    plan = make_plan(curve(), [3, 5, 12])
    made = pages.trajectory_page(plan, "g.npz", "")
    costs, steps = (section.tables[0] for section in made.sections if section.tables)
    for row, (K, best) in zip(costs.rows, plan.best.items(), strict=True):
        assert (row[0], row[2], row[5]) == (K, best.cost, plan.even[K].cost)
        assert row[3] == pytest.approx(3 * plan.excess(best.cost), rel=1e-12)
        assert row[7] == pytest.approx(plan.excess(plan.even[K].cost), rel=1e-12)
    for row, (K, best) in zip(steps.rows, plan.best.items(), strict=True):
        nodes = [int(word) for word in str(row[1]).split(",")]
        assert (row[0], nodes) == (K, best.timesteps.tolist())
        assert [int(word) + 1 for word in str(row[2]).split(",")] == nodes[::-1]
    assert "at K = 3" in made.summary.word


def test_where_nothing_is_to_choose_the_page_says_so() -> None:
    sch = curve().schedule
    isotropic = np.append(0.0, 1 / (1 + sch.snr[1:]))
    made = pages.trajectory_page(make_plan(curve(mmse=isotropic), [3, 5]), "g.npz", "")
    assert "every trajectory costs the same" in made.summary.word


def test_the_page_of_checks_shows_first_what_failed() -> None:
    statuses = ("passed", "failed", "note", "xfailed", "passed", "skipped", "xpassed")
    rows = [
        SimpleNamespace(
            subject=f"S{i}", config="a=1", check="order", status=s, measured=0.5, bound=None, detail="d"
        )
        for i, s in enumerate(statuses)
    ]
    made = pages.check_page(rows, "diffusers 0.30", "dpmoracle check diffusers")
    assert made.summary == Outcome(
        "7 results: 1 failed, 1 xpassed, 1 note, 1 skipped, 1 xfailed, 2 passed", "bad"
    )
    (table,) = made.sections[-1].tables
    assert [str(row[0]) for row in table.rows] == ["S1", "S6", "S2", "S5", "S3", "S0", "S4"]
    assert [row[2].tone for row in table.rows] == ["bad"] * 2 + ["open"] * 2 + ["expected"] + ["good"] * 2  # type: ignore[union-attr]
    assert pages.check_page(rows[:1], "", "").summary.tone == "good"
    html.render(made)


def test_the_page_of_benchmarks_holds_the_aims_to_the_ratios() -> None:
    timings = (
        Timing("ours", (1.0, 1.0, 1.0)),
        Timing("SciPy", (4.0, 4.0, 4.0)),
        Timing("POT", (2.0, 2.0, 2.0)),
    )
    result = Result(
        "work", timings, (Missing("torch", "not installed"),), 1e-12, "relative",
        {"SciPy": 3.0, "POT": 10.0, "copy": 0.5}, ("copy", 0.6),
    )  # fmt: skip
    machine = {"threads": {"OpenBLAS": 2}, "load": 0.5}
    made = pages.bench_page(
        Run(machine, {"seed": 3}, {"copy, bytes per second": 1e10}, {"mixture": [result]}), ""
    )
    assert (made.summary, made.seed) == (Outcome("2 of 3 aims are reached", "open"), 3)
    times = made.sections[-2]
    assert times.text == ("Missing, torch: not installed.",)
    assert [(row[3], row[4], row[5], row[6], str(row[7])) for row in times.tables[0].rows] == [
        ("SciPy", 4.0, 4.0, 3.0, "reached"),
        ("POT", 2.0, 2.0, 10.0, "not reached"),
        ("limit: copy", None, 0.6, 0.5, "reached"),
    ]
    html.render(made)


def test_the_machine_is_named_and_nobody_else() -> None:
    import getpass
    import socket

    told = provenance.machine() + json.dumps(provenance.versions()) + provenance.date()
    assert re.search(r"\d+ cores?;", told)
    assert socket.gethostname() not in told
    assert getpass.getuser() not in told.split()
    assert provenance.versions()["numpy"] == np.__version__
    assert "cupy" not in provenance.versions() or "cupy" in sys.modules
