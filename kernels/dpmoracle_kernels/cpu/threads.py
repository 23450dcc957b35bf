"""Work in pieces on several threads, without a barrier: a thread that is held up delays only its own piece."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba

__all__ = ["in_pieces"]

_ALONE = threading.Lock()


def in_pieces(work: Callable[[int, int], object], total: int, size: int, *, products: bool = False) -> None:
    """work(start, stop) over total in pieces of `size`, on as many threads as `numba.set_num_threads` says.

    The pieces do not depend on the number of threads, so neither does a result that each piece writes a part of.
    products : work multiplies matrices. Each thread then multiplies by itself: BLAS's own threads would wait for each
               other, and go on spinning after a product, beside the pieces. This needs threadpoolctl; without it the
               pieces run one after the other, with BLAS's threads.
    """
    pieces = [(start, min(start + size, total)) for start in range(0, total, size)]
    threads = min(numba.get_num_threads(), len(pieces))
    if products and _libraries() is None:
        threads, products = 1, False
    with _one_blas_thread() if products else contextlib.nullcontext():
        _share(work, pieces, threads)


def _share(work: Callable[[int, int], object], pieces: list[tuple[int, int]], threads: int) -> None:
    """The caller works too, and waits for no helper that has not begun: calls within calls cannot lock up."""
    left, failed = iter(pieces), list[BaseException]()

    def take() -> None:
        try:
            for piece in left:
                if failed:
                    return
                work(*piece)
        except BaseException as error:  # Ctrl-C too: the others end after their piece
            failed.append(error)

    helpers = [_pool().submit(take) for _ in range(threads - 1)]
    take()
    for helper in helpers:
        if not helper.cancel():
            helper.result()
    if failed:
        raise failed[0]


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Kept: a fresh thread costs 50 microseconds, and for milliseconds shares the core of the one that made it."""
    return ThreadPoolExecutor(numba.config.NUMBA_NUM_THREADS, "dpmoracle")


if hasattr(os, "register_at_fork"):  # threads do not survive a fork
    os.register_at_fork(after_in_child=_pool.cache_clear)


@contextlib.contextmanager
def _one_blas_thread() -> Iterator[None]:
    """One user at a time: two that overlap would leave the other's limit behind."""
    with _ALONE, _libraries().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _libraries() -> Any:
    """threadpoolctl's view of the libraries, which takes milliseconds to make; None without it."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()
