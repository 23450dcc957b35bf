"""The numbers of a step in 50 digits, the stored betas taken as exact; for the tests of the reverse step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np

from dpmoracle.processes.schedule import Schedule

mp.mp.dps = 50
# Between them: alpha_bar down to 1e-14, beta_bar from 1e-10, zero terminal SNR.
SCHEDULES = [
    Schedule.linear(1000),
    Schedule.cosine(60, max_beta=1.0),
    Schedule.from_betas(np.linspace(1e-10, 1e-7, 50), name="hardly any noise"),
    Schedule.from_betas(np.linspace(0.01, 0.9, 40), name="fast"),
]


@dataclass(frozen=True)
class ExactStep:
    """alpha_bar, beta_bar at s and t, alpha_{t|s}, beta_{t|s}, the single betas at s and t, and lam2."""

    A_s: Any
    B_s: Any
    A_t: Any
    B_t: Any
    a: Any
    b: Any
    beta_s: Any
    beta_t: Any
    lam2: Any

    @property
    def rho(self) -> Any:
        """Correlation of x_s and x_t given x_0: the one for which Var(x_s|x_t, x_0) = lam2."""
        if self.B_s == 0:
            return mp.mpf(1)
        squared = 1 - self.lam2 / self.B_s
        return mp.sqrt(squared) if squared > mp.mpf(10) ** -45 else mp.mpf(0)


@dataclass(frozen=True)
class Case:
    sch: Schedule
    s: int
    t: int
    kind: str
    lam2: float
    exact: ExactStep

    def __repr__(self) -> str:
        return f"{self.sch.name} {self.s}<-{self.t} {self.kind}"


# name -> (share of beta_tilde, share of beta_bar_s) that lam2 is
KINDS = {"ddim": (0, 0), "ddpm": (1, 0), "eta": (0.25, 0), "half": (0, 0.5), "all": (0, 1)}


def bayes_variance(B_s: Any, a: Any, b: Any) -> Any:
    """Var(x_s|x_t, x_0) of the Markov chain: the precisions of q(x_s|x_0) and q(x_t|x_s) add."""
    return 1 / (1 / B_s + a / b) if B_s > 0 else mp.mpf(0)


def cases(kinds: tuple[str, ...] = tuple(KINDS), count: int = 12, terminal: bool = True) -> list[Case]:
    """Steps of every schedule with every kind of lam2; terminal=False leaves alpha_bar_t = 0 out."""
    return list(_cases(kinds, count, terminal))


def _cases(kinds: tuple[str, ...], count: int, terminal: bool) -> Iterator[Case]:
    rng = np.random.default_rng(1)
    for sch in SCHEDULES:
        alpha_bar = [mp.mpf(1)]
        for beta in sch.betas:
            alpha_bar.append(alpha_bar[-1] * (1 - mp.mpf(float(beta))))
        N = sch.N
        steps = {(0, 1), (0, N), (1, 2), (1, N), (N - 1, N), (N // 2, N // 2 + 1), (0, N - 1), (3, N - 2)}
        steps |= {tuple(sorted(int(i) for i in rng.choice(N + 1, 2, replace=False))) for _ in range(count)}
        for s, t in sorted(steps):
            A_s, A_t = alpha_bar[s], alpha_bar[t]
            if A_t == 0 and not terminal:
                continue
            B_s, a = 1 - A_s, A_t / A_s
            for kind in kinds:
                eta2, share = (mp.mpf(x) for x in KINDS[kind])
                lam2 = eta2 * bayes_variance(B_s, a, 1 - a) + share * B_s
                # At the upper end the square root of beta_bar_s - lam2 would show the rounding of beta_bar_s.
                at_end = lam2 >= B_s * (1 - mp.mpf(10) ** -45)
                given = float(sch.beta_bar[s]) if at_end else float(lam2)
                betas = mp.mpf(float(sch.betas[s - 1])) if s else mp.mpf(0), mp.mpf(float(sch.betas[t - 1]))
                yield Case(sch, s, t, kind, given, ExactStep(A_s, B_s, A_t, 1 - A_t, a, 1 - a, *betas, lam2))


def worst(
    candidate: Callable[[Case], Any],
    truth: Callable[[Case], Any],
    over: list[Case],
    scale: Callable[[Case], Any] | None = None,
) -> float:
    """Largest error over the cases, relative to scale or to the truth; what is no number is wrong by inf."""
    largest = 0.0
    for case in over:
        try:
            with np.errstate(all="ignore"):
                got = mp.mpmathify(candidate(case))
        except ZeroDivisionError:
            return np.inf
        if not isinstance(got, mp.mpf) or not mp.isfinite(got):
            return np.inf
        want = truth(case)
        error, unit = abs(got - want), abs(scale(case) if scale else want)
        largest = max(largest, float(error / unit) if unit else (np.inf if error else 0.0))
    return largest
