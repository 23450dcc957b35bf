"""Claims on the order of the other solvers: Heun, DEIS, UniP and UniPC, multistep ones from exact starting values."""

from __future__ import annotations

from functools import partial

from ..solvers import deis, heun, unipc
from .order_road import ALLOWED, EXACT_FLOW, Solver, has_order
from .registry import Claim, holds

__all__ = ["CLAIMS"]

_CASES = (("d=1", "data"), ("d=2", "noise"), ("d=10", "data"))


def _order(name: str, source: str, label: str, solver: Solver, order: int, exact_start: int = 0) -> Claim:
    return holds(
        id=name,
        source=source,
        statement=rf"\text{{{label}}}:\ \|x_K-x(\lambda_K)\|=O(h^{order})",
        road=EXACT_FLOW + ", exact starting values" * (exact_start > 0),
        tolerance=ALLOWED,
        formula=solver,
        check=has_order(order, _CASES, exact_start=exact_start),
    )


CLAIMS = (
    _order("karras2022.heun", "karras2022, algorithm 1", "Heun", heun, 2),
    _order("zhang2023.deis.3", "zhang2023, eq. (15)", "ρAB-DEIS, three nodes", partial(deis, order=3), 3, 2),
    *(
        _order(
            f"zhao2023.unip.{order}.{variant}",
            "zhao2023, section 3: UniP",
            f"UniP-{order}, B(h) {variant}",
            partial(unipc, order=order, variant=variant, corrector=False),
            order,
            order - 1,
        )
        for order, variant in ((2, "bh1"), (2, "bh2"), (3, "bh2"))
    ),
    *(
        _order(
            f"zhao2023.unipc.{order}.{variant}",
            "zhao2023, section 3: the corrector UniC raises the order by one",
            f"UniPC-{order}, B(h) {variant}",
            partial(unipc, order=order, variant=variant),
            order + 1,
            order - 1,
        )
        for order, variant in ((1, "bh1"), (1, "bh2"), (2, "bh2"))
    ),
)
