"""The variance with which a stochastic sampler ends, from the check to the page: what is drawn is what was found."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from functools import partial
from urllib.parse import unquote

import numpy as np
import pytest

from dpmoracle.conformance import Subject
from dpmoracle.conformance.checks import CHECKS, terminal
from dpmoracle.conformance.front import run_check
from dpmoracle.conformance.results import Ending
from dpmoracle.conformance.worlds import ISLAND_STD
from dpmoracle.report.sections.check import terminal_records

LEVEL = (0.01, 1.0)
CURVE = (Ending(5, 0.5, 0.1), Ending(20, 0.9, 0.02))


def test_the_curve_is_the_variance_within_components():
    """Of a sampler that draws from the truth, with deviations 1.2 times as large whatever K is."""

    def run(model, x, K, noise, least=1):
        model(x, *LEVEL)
        if least > K:
            raise ValueError("too few steps")
        rng, q0 = np.random.default_rng(K), model.q0
        which = rng.choice(len(q0.weights), len(x), p=q0.weights)
        return q0.means[which] + 1.2 * ISLAND_STD * rng.standard_normal(x.shape)

    drawn = Subject("wide", run, lambda K: (LEVEL, (1.0, 0.0)), stochastic=True)
    result = run_check(CHECKS["terminal"], drawn)
    assert result.status == "failed"
    assert [one.K for one in result.curve] == [5, 10, 20, 40, 80, 160, 320, 640]
    ratios, errors = (np.array(column) for column in list(zip(*result.curve, strict=True))[1:])
    np.testing.assert_allclose(errors, 1.44 * np.sqrt(2 / (8 * 2046)), rtol=0.1)
    assert np.abs((ratios - 1.44) / errors).max() < 4.0  # 5e-4 of false alarms, seeded
    assert [one.K for one in run_check(CHECKS["terminal"], drawn, quick=True).curve] == [20, 160, 320]
    shy = run_check(CHECKS["terminal"], replace(drawn, run=partial(run, least=20)))
    assert shy == replace(result, curve=result.curve[2:]), (
        "what it cannot run is not drawn, and changes no verdict"
    )


def test_the_curve_of_a_sampler_is_that_of_its_worst_configuration():
    def row(subject, config, status, ratio=0.8):
        curve = (*CURVE, Ending(40, ratio, 0.01))
        return {"subject": subject, "config": config, "status": status, "curve": curve}

    found = terminal_records(
        [
            row("OneScheduler", "", "passed"),
            row("OneScheduler", "eta=1", "failed", 0.2),
            row("TwoScheduler", "", "passed", 0.0),
            row("Three", "spacing=" + 50 * "x", "passed"),
            row("TwoScheduler", "eta=2", "passed", 0.3),
        ]
    )
    ends = {record["sampler"]: (record["K"], record["ratio"]) for record in found}
    assert list(ends) == ["One, eta=1", "Two", f"Three, spacing={40 * 'x'}…"]
    assert list(ends.values()) == [(40, 0.2), (20, 0.9), (40, 0.8)], "0 has no place on a logarithmic axis"
    many = terminal_records([row(f"S{i}", "", "failed" if i == 19 else "passed") for i in range(20)])
    assert list(dict.fromkeys(r["sampler"] for r in many)) == ["S19", *(f"S{i}" for i in range(11))]


def test_the_page_of_a_sweep_has_it(tmp_path, monkeypatch):
    pytest.importorskip("typer")
    pytest.importorskip("jinja2")
    from dpmoracle.cli.app import run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal, "_SHOWN", (5,))
    source = "from dpmoracle.conformance.own import sde_solver\nsde = lambda: sde_solver(1)\n"
    (tmp_path / "my_noise_of_check.py").write_text(source, encoding="utf-8")
    assert (
        run(["check", "my_noise_of_check:sde", "--only", "terminal", "--jobs", "1", "--report", "a.html"])
        == 0
    )
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    (numbers,) = re.findall(r'download="terminal.csv" href="data:text/csv;charset=utf-8,([^"]*)"', page)
    rows = list(csv.DictReader(io.StringIO(unquote(numbers))))
    assert [row["K"] for row in rows] == ["5", "20", "320"]
    first, last = (float(rows[i]["ratio"]) for i in (0, -1))
    assert first < last - 10 * float(rows[-1]["standard_error"])
    assert f"K = 5, {last:.4g} at 320" in page
