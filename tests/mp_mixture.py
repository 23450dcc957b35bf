"""A Gaussian mixture in mpmath: plain Bayes in as many digits as it takes, nothing arranged for rounding.

`Law` states the textbook formulas on mpmath numbers. `sensitivity` says how well posed a question is: how far the
exact answer moves when every input number is changed by one unit in its last place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np

from dpmoracle import GaussianMixture

Answer = dict[str, np.ndarray]
ULP = 2.0**-52
AXES, ROTATED = ("spherical", "diag"), ("tied", "full")  # kinds of covariances
SMALL = 4  # dimensions up to which full covariances are compared


class NotPositiveError(ArithmeticError):
    """A covariance that one ulp makes indefinite."""


@dataclass(frozen=True)
class Problem:
    """One question in float64 numbers: the posterior of a mixture at one x, seen at level (a, sigma)."""

    kind: str
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    x: np.ndarray
    a: float
    sigma: float
    coordinates: tuple[int, ...] | None = None  # of vectors in the answer; None is all

    def exact(self, digits: int, nudge: Callable[[Any], Any] = mp.mpf) -> Answer:
        """The answer in float64 after `digits` digits; `nudge` changes every number first."""
        with mp.workdps(digits):
            return Law.of(self, nudge).answer(self.coordinates or tuple(range(len(self.x))))

    def sensitivity(self, exact: Answer, digits: int, draws: int) -> Answer:
        """Largest change of each entry over random signs of one ulp on every number; inf if one is no question."""
        moved = {name: np.zeros_like(value) for name, value in exact.items()}
        for draw in range(draws):
            rng = np.random.default_rng(draw)

            def nudge(value: Any, rng: np.random.Generator = rng) -> Any:
                return mp.mpf(value) * (1 + (mp.mpf(ULP) if rng.random() < 0.5 else -mp.mpf(ULP)))

            try:
                other = self.exact(digits, nudge)
            except NotPositiveError:
                return {name: np.full_like(value, np.inf) for name, value in exact.items()}
            for name, value in exact.items():
                moved[name] = np.fmax(moved[name], np.abs(other[name] - value))
        return moved

    def digits(self) -> int:
        """Enough for 30 digits of a difference of squared distances."""
        far = max(1.0, np.abs(self.x).max(), np.abs(self.means).max()) / self.sigma
        return 40 + 2 * int(np.log10(far))

    def answer(self, posterior: Callable[..., Any] | None = None) -> Answer:
        """What the package says, in the same names; `posterior` takes the place of its plain function."""
        q = GaussianMixture(self.weights, self.means, self.covariances, self.kind)
        row, level = self.x[None, :], (np.array([self.a]), np.array([self.sigma]))
        if posterior is None:
            found = q.posterior(row, *level)
        else:
            live = q.support
            found = posterior(row, *level, np.log(live.weights), live.means, live._spectrum, live._basis)
        score, x0 = found.score[0], found.mean[0]
        answer = {
            "log_prob": found.log_prob[0],
            "score": score,
            "eps": -self.sigma * score,
            "x0": x0,
            "v": -self.a * self.sigma * score - self.sigma * x0,
            "diag": found.diagonal()[0],
            "trace": found.trace()[0],
        }
        if len(self.x) <= SMALL:
            answer["full"] = found.covariance()[0]
        if self.coordinates is not None:
            for name in ("score", "eps", "x0", "v", "diag"):
                answer[name] = answer[name][list(self.coordinates)]
        return answer


def excess(
    problem: Problem,
    posterior: Callable[..., Any] | None = None,
    draws: int = 4,
    by_entry: bool | None = None,
) -> dict[str, float]:
    """Error over the bound, by quantity: 1 just keeps it; nan counts as inf.

    The bound: 1e-14 of the value (GaussianMixture promises 1e-12) and 8 times the change by one ulp of every input,
    entry by entry; for rotated bases 32 times, in the largest entry; a covariance entry (j, k) in units of
    sqrt(C_jj C_kk).
    """
    by_entry = problem.kind in AXES if by_entry is None else by_entry
    digits = problem.digits()
    exact = problem.exact(digits)
    moved = problem.sensitivity(exact, digits, draws)
    found, worst = problem.answer(posterior), {}
    for name, truth in exact.items():
        size, change = np.abs(truth), moved[name]
        if name == "full":
            roots, moves = np.sqrt(np.diag(truth)), np.sqrt(np.diag(change))
            size, change = np.outer(roots, roots), np.maximum(change, np.outer(moves, moves))
        if not by_entry:
            size, change = np.full_like(size, size.max()), np.full_like(change, change.max())
        # Below 1e-300 float64 itself runs out of digits.
        bound = 1e-14 * size + (8 if problem.kind in AXES else 32) * change + 1e-300
        ratio = np.abs(found[name] - truth) / bound
        worst[name] = float(np.where(np.isnan(ratio), np.inf, ratio).max())
    return worst


class Law:
    """The mixture of N(a m_i, a² S_i + σ² I) at x, and q(x_0 | x); all in mpmath."""

    def __init__(self, weights: list, means: list, blocks: list, x: list, a: Any, sigma: Any) -> None:
        """blocks : per component a list of d variances, or a (d, d) mpmath matrix."""
        total = mp.fsum(weights)
        self.a, self.sigma, self.d = a, sigma, len(x)
        self.parts = []
        for weight, mean, block in zip(weights, means, blocks):
            if weight > 0:
                self.parts.append(_component(weight / total, mean, block, x, a, sigma))
        top = max(part.log_joint for part in self.parts)
        masses = [mp.exp(part.log_joint - top) for part in self.parts]
        self.evidence = top + mp.log(mp.fsum(masses))
        self.shares = [mass / mp.fsum(masses) for mass in masses]

    @classmethod
    def of(cls, p: Problem, number: Callable[[Any], Any]) -> Law:
        count, d = p.means.shape
        weights = [number(w) for w in p.weights.tolist()]
        means = [[number(m) for m in row] for row in p.means.tolist()]
        if p.kind == "spherical":
            variances = [number(s) for s in p.covariances.tolist()]
            blocks: list = [[s] * d for s in variances]
        elif p.kind == "diag":
            blocks = [[number(s) for s in row] for row in p.covariances.tolist()]
        elif p.kind == "tied":
            blocks = [_symmetric(p.covariances, number)] * count
        else:
            blocks = [_symmetric(block, number) for block in p.covariances]
        x = [number(value) for value in p.x.tolist()]
        return cls(weights, means, blocks, x, number(p.a), number(p.sigma))

    def log_prob(self) -> Any:
        return self.evidence

    def score(self, coordinates: tuple[int, ...]) -> list:
        return [-self._mean(lambda part, k=k: part.pull[k]) for k in coordinates]

    def x0(self, coordinates: tuple[int, ...]) -> list:
        return [self._mean(lambda part, k=k: part.mean[k]) for k in coordinates]

    def covariance(self, j: int, k: int) -> Any:
        """Within the components, and between them over pairs: no difference of large numbers."""
        total = self._mean(lambda part: part.within(j, k))
        for i, one in enumerate(self.parts):
            for r, two in zip(self.shares[:i], self.parts):
                gap_j, gap_k = one.mean[j] - two.mean[j], one.mean[k] - two.mean[k]
                total += self.shares[i] * r * gap_j * gap_k
        return total

    def answer(self, coordinates: tuple[int, ...]) -> Answer:
        """log_prob, score, eps, x0, v, diag, trace, and full for small d, rounded to float64."""
        score, x0, d = self.score(coordinates), self.x0(coordinates), self.d
        diagonal = [self.covariance(k, k) for k in range(d)]
        answer: dict[str, Any] = {
            "log_prob": self.log_prob(),
            "score": score,
            "eps": [-self.sigma * s for s in score],
            "x0": x0,
            "v": [-self.a * self.sigma * s - self.sigma * m for s, m in zip(score, x0)],
            "diag": [diagonal[k] for k in coordinates],
            "trace": mp.fsum(diagonal),
        }
        if d <= SMALL:
            answer["full"] = [[self.covariance(j, k) for k in range(d)] for j in range(d)]
        return {name: np.array(value, dtype=float) for name, value in answer.items()}

    def _mean(self, of: Callable[[Any], Any]) -> Any:
        return mp.fsum(share * of(part) for share, part in zip(self.shares, self.parts))


@dataclass(frozen=True)
class _Component:
    log_joint: Any  # log of weight times density of x
    pull: list  # V⁻¹(x - a m)
    mean: list  # E[x_0 | x]
    within: Callable[[int, int], Any]  # entries of Cov(x_0 | x)


def _component(weight: Any, mean: list, block: Any, x: list, a: Any, sigma: Any) -> _Component:
    d = len(x)
    away = [value - a * m for value, m in zip(x, mean)]
    if isinstance(block, list):
        v = [a * a * s + sigma * sigma for s in block]
        pull = [r / total for r, total in zip(away, v)]
        log_det = mp.fsum(mp.log(total) for total in v)
        there = [m + a * s * p for m, s, p in zip(mean, block, pull)]
        inside = [s * sigma * sigma / total for s, total in zip(block, v)]

        def within(j: int, k: int) -> Any:
            return inside[j] if j == k else mp.mpf(0)

    else:
        total = a * a * block + sigma * sigma * mp.eye(d)
        inverse = mp.inverse(total)
        pull = list(inverse * mp.matrix(away))
        determinant = mp.det(total)
        if determinant <= 0:
            raise NotPositiveError
        log_det = mp.log(determinant)
        there = [m + a * moved for m, moved in zip(mean, block * mp.matrix(pull))]
        posterior = sigma * sigma * block * inverse

        def within(j: int, k: int) -> Any:
            return posterior[j, k]

    distance = mp.fsum(r * p for r, p in zip(away, pull))
    return _Component(mp.log(weight) - (distance + log_det + d * mp.log(2 * mp.pi)) / 2, pull, there, within)


def _symmetric(block: np.ndarray, number: Callable[[Any], Any]) -> Any:
    d = len(block)
    matrix = mp.matrix(d, d)
    for j in range(d):
        for k in range(j + 1):
            matrix[j, k] = matrix[k, j] = number(float(block[j, k]))
    return matrix
