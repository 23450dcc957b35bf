"""dpmoracle trajectory: the optimal timesteps from an estimate of V, and what they cost in nats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import inputs, report
from .console import show, stdout_console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..plan import Plan

__all__ = ["trajectory"]


def trajectory(
    file: Annotated[Path, typer.Argument(metavar="GAMMA.npz", help="What `dpmoracle gamma` wrote.")],
    nodes: Annotated[
        list[int],
        typer.Option(
            "-K", "--nodes", metavar="K", help="Network evaluations, in 2..N; may be given more than once."
        ),
    ],
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the trajectories as JSON too.")
    ] = None,
    report_file: report.ReportFile = None,
    clip: Annotated[
        bool,
        typer.Option(
            "--clip", help="Move an impossible V into the bounds of Theorem 2 (else it is refused)."
        ),
    ] = False,
    backend: inputs.BackendOption = inputs.Backend.auto,
) -> int:
    """The optimal timesteps for K network evaluations, beside the even grid.

    Optimal is what minimises the KL divergence from the noising chain to the
    sampler's with optimal variances (eq. (10) of the notes). The excess is
    what a trajectory costs more than any can avoid: (d/2) (sum of J minus the
    integral of V over the SNR), in nats. It counts the nodes 1..N: the last
    step, from timestep 1 to the data, is not in it.

    Keys of the JSON: format, version, program, gamma_file; data (name, shape,
    sha256); schedule (name, N, sha256 of alpha_bar); certificate (holds,
    margin, violations); mmse_integral (value, error, sampling_error);
    clipped and poor, lists of timesteps; trajectories, a list, one for each K: K, method, timesteps
    (increasing, in 1..N), diffusers_timesteps (decreasing, t - 1), cost (sum
    of J), excess_nats, excess_nats_per_dimension, even (the same of the even
    grid). Null stands for what is not finite.

    Exit code: 0 done, 2 wrong use, 130 Ctrl-C.
    """
    from .. import plan, storage
    from ..gamma_curve import GammaCurve
    from ..report import pages

    if json is not None:
        inputs.refuse_overwriting(json, "--json", file)
        storage.check_writable(json, "--json")
    report.check(report_file, file, json)
    found = plan.make_plan(GammaCurve.load(file, "trajectory"), nodes, clip, "trajectory", backend.value)
    try:
        if json is not None:
            storage.write_text(json, plan.plan_json(found, str(file)), "--json")
    finally:  # a disk that is full must not cost the table
        show(_table(found), stdout_console())
    report.write(report_file, lambda command: pages.trajectory_page(found, str(file), command))
    return 0


def _table(found: Plan) -> list[RenderableType]:
    """Costs of all K, then the timesteps of each."""
    from rich.table import Table
    from rich.text import Text

    from ..plan import to_diffusers
    from ..report import words

    d = found.curve.data.shape[1]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("K", "method", "sum of J", "excess", "per dim", "even: J", "excess", "per dim"):
        table.add_column(name, justify="left" if name == "method" else "right", no_wrap=True)
    for K, best in found.best.items():
        cells = [str(K), best.method]
        for path in (best, found.even[K]):
            each = words.excess(found, path.cost)
            cells += [f"{path.cost:.5g}", f"{d * each:.4g}", f"{each:.3g}"]
        table.add_row(*cells)
    parts: list[RenderableType] = [Text(line) for line in _heading(found)]
    parts += ["", table, ""]
    for K, best in found.best.items():
        parts.append(Text(f"K = {K}: timesteps {', '.join(map(str, best.timesteps.tolist()))}"))
        parts.append(Text(f"diffusers: set_timesteps(timesteps={to_diffusers(best.timesteps)})"))
        if words.even_is_as_good(found, K):
            parts.append(Text("The even grid costs the same."))
        parts.append("")
    parts += [Text(line) for line in words.plan_remarks(found)]
    return parts


def _heading(found: Plan) -> list[str]:
    curve, integral = found.curve, found.integral
    d = curve.data.shape[1]
    return [
        f"{curve.data}, {curve.schedule.name}, N = {curve.schedule.N}; V from {curve.num_samples} samples, "
        f"estimator {curve.estimator}",
        f"Integral of V over the SNR: {integral.value:.5g} per dimension, ± {integral.error:.1g} of the integration, "
        f"± {found.sampling_error:.1g} (one standard error at most) of the samples. Excess in nats, of all {d} "
        f"dimensions and per dimension; of the integration ± {0.5 * d * float(integral.error):.1g}, the same for all.",
    ]
