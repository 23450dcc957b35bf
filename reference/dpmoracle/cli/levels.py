"""Where `dpmoracle sample` asks the model: timesteps of the schedule, or levels that fall between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidParameterError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..processes.schedule import Schedule

    Array = NDArray[np.float64]
    Steps = NDArray[np.int64]

__all__ = ["BETWEEN", "Choice", "Grid", "Levels"]


class Grid(StrEnum):
    even = "even"
    quadratic = "quadratic"
    optimal = "optimal"
    lambda_ = "lambda"
    karras = "karras"


#: grids whose levels are no whole timesteps
BETWEEN = (Grid.lambda_, Grid.karras)


@dataclass(frozen=True)
class Levels:
    """From the noisiest to the last that is noisy; the data, σ = 0, is not among them.

    nodes     : (K, 2) of (a, σ), noisiest first
    timesteps : (K,) increasing, in 1..N; None where they fall between timesteps
    """

    nodes: Array
    timesteps: Steps | None = None

    def __str__(self) -> str:
        if self.timesteps is not None:
            return f"K = {len(self.nodes)}: timesteps {', '.join(map(str, self.timesteps.tolist()))}"
        from ..solvers.coefficients import half_log_snr

        lam = [f"{half_log_snr((a, sigma)):.4g}" for a, sigma in self.nodes.tolist()]
        return f"K = {len(lam)}: log(a/sigma) from noise to data {', '.join(lam)}"


@dataclass(frozen=True)
class Choice:
    """The options that say where: -K, --grid, --from, --timesteps."""

    nodes: int | None
    grid: Grid | None
    source: Path | None
    timesteps: str | None

    def check(self, has_gamma: bool) -> None:
        """Refuse what would silently be ignored, before anything is loaded."""
        if self.nodes is None and self.source is None and self.timesteps is None:
            raise InvalidParameterError(
                "timesteps must be chosen: -K 25, or --from FILE, or --timesteps LIST"
            )
        if self.timesteps is not None and (self.nodes is not None or self.source is not None):
            raise InvalidParameterError("--timesteps says everything; leave out -K and --from")
        if self.grid is not None and (self.source is not None or self.timesteps is not None):
            raise InvalidParameterError(
                "--grid chooses K timesteps; leave it out with --from and --timesteps"
            )
        if self.grid is Grid.optimal and not has_gamma:
            raise InvalidParameterError(
                "--grid optimal needs V at every timestep: give --gamma FILE, made by "
                "`dpmoracle gamma DATA -o FILE`"
            )

    def check_adaptive(self) -> None:
        """As check, for a solver that finds its own levels between two ends."""
        if (self.nodes, self.grid, self.source) != (None, None, None):
            raise InvalidParameterError(
                "--sampler adaptive finds its own levels, as many as --rtol and --atol ask for; leave out -K, "
                "--grid and --from (--timesteps '5, N' may set its two ends)"
            )

    def levels(self, process: Schedule, mmse: Array | None) -> Levels:
        """What was chosen; mmse (N+1,) is V, for the optimal grid. With no choice at all, the two ends 1 and N."""
        import numpy as np

        if self.grid in BETWEEN:
            from ..solvers.grids import solver_nodes
            from ..trajectory.step_cost import check_nodes

            if process.alpha_bar[-1] == 0.0:
                raise InvalidParameterError(
                    f"--grid {self.grid} is even in a variable that is infinite at timestep N = {process.N} of this "
                    "schedule, where alpha_bar is 0; use even, quadratic or optimal"
                )
            K = check_nodes("-K", self.nodes, process.N)
            return Levels(solver_nodes(process, K - 1, self.grid.value))
        steps = self._timesteps(process, mmse)
        return Levels(np.stack(process.levels(steps[::-1]), axis=-1), steps)

    def _timesteps(self, process: Schedule, mmse: Array | None) -> Steps:
        """(K,) increasing, in 1..N."""
        import numpy as np

        from .. import plan
        from ..trajectory import grids, optimal_trajectory
        from ..trajectory.step_cost import as_nodes, check_nodes

        if self.timesteps is not None:
            path = as_nodes("--timesteps", _whole(self.timesteps), process.N, partial=True)
            if path[-1] != process.N:
                raise InvalidParameterError(
                    f"--timesteps must end at N = {process.N}, where sampling starts from N(0, I); it ends at "
                    f"{path[-1]}"
                )
            return path
        if self.source is not None:
            return plan.read_timesteps(self.source, process, self.nodes, "--from")
        if self.nodes is None:
            return np.array([1, process.N])
        K = check_nodes("-K", self.nodes, process.N)
        if mmse is not None and self.grid in (None, Grid.optimal):
            return optimal_trajectory(process.snr, mmse, K).timesteps
        return (grids.quadratic_grid if self.grid is Grid.quadratic else grids.even_grid)(process.N, K)


def _whole(text: str) -> Steps:
    """The whole numbers of a list '1, 40, 1000'."""
    import numpy as np

    try:
        return np.array([int(word) for word in text.replace(",", " ").split()], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise InvalidParameterError(
            f"--timesteps must be whole numbers separated by commas; got {text!r}"
        ) from error
