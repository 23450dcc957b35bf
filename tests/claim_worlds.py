"""Small worlds for the tests of the claims: twelve points for data, and all lines or one."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from dpmoracle.claims import World


class OneLine(World):
    """The checks that sum over a prior are slow on several mixtures; a broken formula is as broken on one."""

    @cached_property
    def lines(self):
        return {"three gaussians": World.lines.func(self)["three gaussians"]}


POINTS = np.random.default_rng(0).normal(size=(12, 2))
WORLD, ONE_LINE = World(POINTS, "normal", 0), OneLine(POINTS, "normal", 0)
