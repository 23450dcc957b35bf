"""The shipped strategies give what they promise, and name their extra where hypothesis is missing."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

import dpmoracle as dpm
from dpmoracle import strategies

QUICK = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(strategies.schedules(min_steps=3, max_steps=9, zero_terminal=True), st.data())
def test_schedules_and_their_steps(schedule: dpm.Schedule, data: st.DataObject) -> None:
    assert 3 <= schedule.N <= 9
    assert schedule.alpha_bar[-1] == 0.0
    s, t = data.draw(strategies.step_pairs(schedule, min_s=1))
    assert 1 <= s < t <= schedule.N


@QUICK
@given(strategies.schedules(zero_terminal=False))
def test_schedules_that_keep_signal(schedule: dpm.Schedule) -> None:
    assert schedule.betas[-1] < 1.0


@QUICK
@given(strategies.mixtures(max_components=3, max_dim=2))
def test_mixtures_are_regular(mixture: dpm.GaussianMixture) -> None:
    assert mixture.d <= 2
    assert mixture.n_components <= 3
    assert np.isfinite(mixture.log_prob(np.zeros(mixture.d)))


def test_mixtures_reach_every_kind() -> None:
    for kind in strategies.COVARIANCE_TYPES:
        assert find(strategies.mixtures(), lambda q, kind=kind: q.covariance_type == kind)
    assert find(strategies.mixtures(singular=True), lambda q: q.is_singular)
    assert find(strategies.mixtures(singular=True), lambda q: bool(np.any(q.weights == 0.0)))


def test_bad_limits_are_named() -> None:
    with pytest.raises(dpm.InvalidParameterError, match="min_steps <= max_steps; got 5, 2"):
        find(strategies.schedules(min_steps=5, max_steps=2), lambda s: True)


def test_missing_hypothesis_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    spec = importlib.util.spec_from_file_location("dpmoracle._strategies_again", strategies.__file__)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(dpm.MissingExtraError, match=r"pip install 'dpmoracle\[testing\]'"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
