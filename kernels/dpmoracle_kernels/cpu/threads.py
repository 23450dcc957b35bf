"""Work in pieces on several threads, without a barrier: a thread that is held up delays only its own piece."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba

__all__ = ["in_pieces"]


def in_pieces(work: Callable[[int, int], object], total: int, size: int) -> None:
    """work(start, stop) over total in pieces of `size`, on as many threads as `numba.set_num_threads` says.

    The pieces do not depend on the number of threads, so neither does a result that each piece writes a part of.
    """
    starts = range(0, total, size)
    threads = min(numba.get_num_threads(), len(starts))
    if threads <= 1:
        for start in starts:
            work(start, min(start + size, total))
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, start, min(start + size, total)) for start in starts]:
            done.result()
