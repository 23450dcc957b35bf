"""The checks, and which of them a subject can take.

Each is a plain function check_*(subject, quick=False) -> Result, and its docstring says what it proves. Its name
without "check_" is public: users pin it in expected failures. A check that is renamed keeps its old name in RENAMED
for one release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..results import Result
from ..subject import Subject
from .convergence import check_converges, check_last_step
from .design import check_clipping
from .forward import check_add_noise, check_init_sigma, check_input_scale, check_velocity
from .gaussian import check_exact_on_gaussian
from .landing import check_landing
from .one_step import check_step_mean, check_step_noise
from .order import check_order, check_order_uneven, check_order_usual_start
from .precision import check_stability
from .predictions import check_prediction_types
from .structure import check_every_step, check_finite, check_grid
from .terminal import check_terminal
from .times import check_fed_by_time, check_time_values

__all__ = ["CHECKS", "RENAMED", "Check", "checks_for"]

_Need = tuple[str, Callable[[Subject], object]]


@dataclass(frozen=True)
class Check:
    """run     : the check
    needs   : each what it needs, and whether a subject has that
    clipped : clipping x̂_0 disturbs it, so a failure of a subject that clips is a note
    """

    run: Callable[..., Result]
    needs: tuple[_Need, ...] = ()
    clipped: bool = False

    @property
    def name(self) -> str:
        return self.run.__name__.removeprefix("check_")

    def lacks(self, subject: Subject) -> list[str]:
        """What the subject would need to be checked."""
        return [what for what, has in self.needs if not has(subject)]


def checks_for(subject: Subject) -> Iterator[Check]:
    """Those that the subject has the capabilities for."""
    return (check for check in CHECKS.values() if not check.lacks(subject))


def _has(name: str) -> _Need:
    return name, lambda subject: getattr(subject, name)


def _forward(*names: str) -> _Need:
    return f"forward.{names[0]}", lambda subject: all(getattr(subject.forward, name, None) for name in names)


_DETERMINISTIC: _Need = ("a deterministic sampler", lambda s: not s.stochastic)
_STOCHASTIC: _Need = ("a stochastic sampler", lambda s: s.stochastic)
_GIVEN_NOISE: _Need = ("noise that can be given (injects)", lambda s: s.injects or not s.stochastic)
_EXPECTATION: _Need = ("a network that predicts E[x_0 | x]", lambda s: not s.endpoint)
_SINGLE: _Need = ("dtype float32 and promoted", lambda s: s.promoted and s.dtype == "float32")
_ORDER = (_DETERMINISTIC, _EXPECTATION, _has("order"))
_ONE_STEP = (_STOCHASTIC, _GIVEN_NOISE, _has("law"))

CHECKS = {
    check.name: check
    for check in (
        Check(check_finite),
        Check(check_every_step, (_has("max_steps"),)),
        Check(check_grid),
        Check(check_landing, (_GIVEN_NOISE,)),
        Check(check_time_values, (_has("time_level"),)),
        Check(check_fed_by_time, (_has("time_level"), _GIVEN_NOISE, _EXPECTATION), clipped=True),
        Check(check_exact_on_gaussian, (_GIVEN_NOISE,), clipped=True),
        Check(check_prediction_types, (_has("predicting"), _GIVEN_NOISE, _EXPECTATION)),
        Check(check_converges, (_DETERMINISTIC, _EXPECTATION), clipped=True),
        Check(check_order, (*_ORDER, _has("asymptotic")), clipped=True),
        Check(check_order_uneven, (*_ORDER, _has("uneven")), clipped=True),
        Check(check_order_usual_start, (*_ORDER, _has("asymptotic"), _has("exact_start"))),
        Check(check_last_step, (_DETERMINISTIC, _EXPECTATION)),
        Check(check_stability, (_SINGLE, _GIVEN_NOISE)),
        Check(check_step_mean, _ONE_STEP, clipped=True),
        Check(check_step_noise, _ONE_STEP, clipped=True),
        Check(check_terminal, (_STOCHASTIC,), clipped=True),
        Check(check_add_noise, (_forward("add_noise"),)),
        Check(check_velocity, (_forward("velocity"),)),
        Check(check_input_scale, (_forward("scale_input", "input_level"),)),
        Check(check_init_sigma, (_forward("init_sigma"),)),
        Check(check_clipping, (_has("clips"),)),
    )
}
#: old name -> name, of checks renamed since the last release
RENAMED: dict[str, str] = {}
