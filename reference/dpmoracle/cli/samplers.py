"""The samplers of `dpmoracle sample`: which options each takes, and its run with the exact oracle as the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..errors import InvalidParameterError
from .levels import Levels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..oracle import Oracle
    from ..processes.schedule import Schedule

    Array = NDArray[np.float64]
    Steps = NDArray[np.int64]

__all__ = ["Drawn", "Prediction", "Rule", "Run", "Sampler", "check_settings"]


class Sampler(StrEnum):
    ancestral = "ancestral"
    ddim = "ddim"
    heun = "heun"
    singlestep = "singlestep"
    multistep = "multistep"
    unipc = "unipc"
    deis = "deis"
    adaptive = "adaptive"
    sde = "sde"


class Rule(StrEnum):
    optimal = "optimal"
    beta_tilde = "beta_tilde"
    beta = "beta"


class Prediction(StrEnum):
    data = "data"
    noise = "noise"


#: the options of each; heun, ddim and deis are the same maps in both predictions
TAKES: dict[Sampler, tuple[str, ...]] = {
    Sampler.ancestral: ("variance",),
    Sampler.ddim: ("eta",),
    Sampler.heun: (),
    Sampler.singlestep: ("order", "prediction"),
    Sampler.multistep: ("order", "prediction"),
    Sampler.unipc: ("order", "prediction"),
    Sampler.deis: ("order",),
    Sampler.adaptive: ("order", "prediction", "rtol", "atol"),
    Sampler.sde: ("order",),
}
#: those that can leave a = 0
_FROM_NOISE = (Sampler.ancestral, Sampler.ddim, Sampler.unipc, Sampler.sde)


@dataclass(frozen=True)
class Drawn:
    """samples (number, d), the levels they passed, and how often the network was asked."""

    samples: NDArray[np.floating[Any]]
    levels: Levels
    evaluations: int


def check_settings(sampler: Sampler, settings: Mapping[str, Any]) -> None:
    """Refuse an option that the sampler would ignore; settings are those that were given."""
    for option in settings:
        if option not in TAKES[sampler]:
            takers = ", ".join(other for other, options in TAKES.items() if option in options)
            own = " and ".join(f"--{name}" for name in TAKES[sampler]) or "no option of this kind"
            raise InvalidParameterError(
                f"--{option} is for --sampler {takers}; {sampler} takes {own}. Leave out --{option}, or change "
                "--sampler"
            )


@dataclass(frozen=True)
class Run:
    """From N(0, I) at the noisiest level to E[x_0|x] at the last one, with the exact oracle as the model.

    progress : called as progress(levels reached, of how many)
    """

    oracle: Oracle
    process: Schedule
    levels: Levels
    number: int
    seed: int
    progress: Callable[[int, int], object]

    def draw(self, sampler: Sampler, settings: Mapping[str, Any], mmse: Array | None) -> Drawn:
        """Samples by one sampler.

        settings : the options of the sampler that were given, as check_settings has passed them
        mmse     : (N+1,) V, for the rule optimal; None finds it
        """
        steps, eta = self.levels.timesteps, settings.get("eta", 0.0)
        if steps is None and (sampler is Sampler.ancestral or eta):
            raise InvalidParameterError(
                "--grid lambda and karras fall between timesteps, where --sampler ancestral, and ddim with --eta, "
                "do not go; use --grid even, quadratic or optimal, or --sampler sde --order 1, which is ancestral "
                "with beta_tilde on any levels"
            )
        if steps is None or sampler not in (Sampler.ancestral, Sampler.ddim):
            return self._solve(sampler, {name: value for name, value in settings.items() if name != "eta"})
        from ..reverse_step import lambda2_ddim

        if sampler is Sampler.ddim:
            return self._chain(steps, lam2=lambda2_ddim(self.process, steps[:-1], steps[1:], eta))
        return self._chain(steps, variance=settings.get("variance", Rule.optimal).value, mmse=mmse)

    def _chain(self, steps: Steps, **rule: Any) -> Drawn:
        from ..sampler import sample

        made = sample(
            self.oracle, self.process, steps, self.number, self.seed, progress=self.progress, **rule
        )
        return Drawn(made, self.levels, len(steps))

    def _solve(self, sampler: Sampler, options: dict[str, Any]) -> Drawn:
        import numpy as np

        from ..solvers import ExactModel, solve, solver_nodes
        from ..solvers.stochastic import sde_dpm_solver

        nodes, process, adaptive = self.levels.nodes, self.process, sampler is Sampler.adaptive
        if nodes[0, 0] == 0.0 and sampler not in _FROM_NOISE:
            raise InvalidParameterError(
                f"--sampler {sampler} must start where alpha_bar > 0; this schedule has alpha_bar = 0 at "
                f"N = {process.N}. Use {', '.join(_FROM_NOISE[:-1])} or {_FROM_NOISE[-1]}, which can leave it"
            )
        if adaptive and len(nodes) != 2:
            raise InvalidParameterError(
                f"--timesteps must be two for --sampler adaptive, the first and the last level; got {len(nodes)}. "
                "It finds those between"
            )
        rng = np.random.default_rng(self.seed)
        x = rng.standard_normal((self.number, self.oracle.q0.d))
        prediction = options.pop("prediction", Prediction.data).value
        marks = solver_nodes(process, 100) if adaptive else nodes
        model = _Told(ExactModel(self.oracle.q0, prediction, self.oracle.backend), marks, self.progress)
        if sampler is Sampler.sde:
            x = sde_dpm_solver(model, x, nodes, rng=rng, **options)
        else:
            given = {"process": process, "nodes": nodes, "prediction": prediction}
            found = solve(model, x, method=sampler.value, **given, **options)
            x, nodes = found.x, found.nodes
        clean = ExactModel(self.oracle.q0, Prediction.data.value, self.oracle.backend)(x, *nodes[-1].tolist())
        return Drawn(clean, Levels(nodes) if adaptive else self.levels, model.calls + 1)


@dataclass
class _Told:
    """A model whose calls are counted and told, as the number of marks (levels, noisiest first) reached."""

    model: Callable[[Any, float, float], Any]
    marks: Array
    progress: Callable[[int, int], object]
    calls: int = 0

    def __call__(self, x: Any, a: float, sigma: float) -> Any:
        out = self.model(x, a, sigma)
        self.calls += 1
        reached = self.marks[:, 1] * a >= sigma * self.marks[:, 0]
        self.progress(int(reached.sum()), len(reached))
        return out
