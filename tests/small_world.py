"""Small worlds for the claims on Analytic-DPM: twenty points at the corners of a square, one law of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from dpmoracle.claims import World, judge


class Small(World):
    """A broken formula is as broken on one line and one plane as on all of them."""

    @cached_property
    def lines(self):
        return {"three gaussians": World.lines.func(self)["three gaussians"]}

    @cached_property
    def planes(self):
        return {"full d=2": World.planes.func(self)["full d=2"]}


CORNERS = np.repeat([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], 5, axis=0)
WORLD, SMALL = World(CORNERS, "corners", 0), Small(CORNERS, "corners", 0)
TURNED = {"holds": "refuted", "refuted": "holds"}

_RNG = np.random.default_rng(7)
#: Data that a user may bring: few, alike, far away, huge, tiny, of mixed scales, of many dimensions.
ODD = {
    "two points on a line": np.array([[0.0], [1.0]]),
    "one point, five times": np.ones((5, 3)),
    "zeros": np.zeros((2, 1)),
    "duplicates": np.repeat(_RNG.standard_normal((4, 2)), 3, axis=0),
    "1e-200": _RNG.standard_normal((20, 3)) * 1e-200,
    "denormal": np.array([[5e-324], [0.0]]),
    "1e-8": _RNG.standard_normal((20, 3)) * 1e-8,
    "1e8": _RNG.standard_normal((20, 3)) * 1e8,
    "1e160": _RNG.standard_normal((20, 3)) * 1e160,
    "largest": np.array([[1.7e308, 0.0], [-1.7e308, 1.0]]),
    "far from the origin": 1e15 + _RNG.integers(0, 5, (20, 1)).astype(float),
    "an outlier": np.concatenate([_RNG.standard_normal((30, 2)), np.full((1, 2), 1e9)]),
    "scales from 1e-6 to 1e6": np.array([[0.0], [1e-6], [1e-3], [1.0], [1e3], [1e6]]),
    "pixels 0 to 255": _RNG.integers(0, 256, (30, 9)).astype(float),
    "wide": _RNG.standard_normal((3, 700)),
}


def remember(monkeypatch, *places):
    """Keep what a function (holder, name) found, by the arguments' identity: no truth depends on the formula."""
    for holder, name in places:
        monkeypatch.setattr(holder, name, _remembering(getattr(holder, name), name))


_FOUND = {}


def _remembering(function, name):
    def remembered(*args, **kwargs):
        key = (name, *(x if isinstance(x, int | float | str) else id(x) for x in (*args, *kwargs.values())))
        if key not in _FOUND:
            found = function(*args, **kwargs)
            # The arguments are kept too, or their ids would go to others.
            _FOUND[key] = (tuple(found) if isinstance(found, Iterator) else found, args, kwargs)
        return _FOUND[key][0]

    return remembered


def verdicts(claims, broken):
    """(id, k) for each broken formula, for `pytest.mark.parametrize`."""
    assert set(broken) == {claim.id for claim in claims}
    return [(name, k) for name, formulas in broken.items() for k in range(len(formulas))]


def turns(claims, broken, name, k, world=SMALL):
    """Whether the k-th broken formula of a claim turns its verdict."""
    claim = next(claim for claim in claims if claim.id == name)
    return judge(claim, world, broken[name][k]).verdict == TURNED[claim.expected]
