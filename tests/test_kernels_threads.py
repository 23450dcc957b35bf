"""Pieces of work on threads: the same pieces whatever the threads, errors that arrive, BLAS left as it was."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from dpmoracle_kernels.cpu import threads
from dpmoracle_kernels.cpu.threads import in_pieces
from kernel_cases import threads as on_threads

threadpoolctl = pytest.importorskip("threadpoolctl")


def blas_threads():
    return [lib["num_threads"] for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]


@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("total", [0, 1, 7, 12])
def test_every_piece_once(total, count, products):
    seen = []
    with on_threads(count):
        in_pieces(lambda start, stop: seen.append((start, stop)), total, 4, products=products)
    assert sorted(seen) == [(start, min(start + 4, total)) for start in range(0, total, 4)]


@pytest.mark.parametrize("count", [1, 2])
def test_blas_is_held_to_one_thread_and_let_go(count):
    before, inside = blas_threads(), []
    with on_threads(count):
        in_pieces(lambda start, stop: inside.append(blas_threads()), 4, 1, products=True)
    assert all(count == 1 for counts in inside for count in counts)
    assert blas_threads() == before


def test_callers_at_the_same_time_leave_no_limit_behind():
    before = blas_threads()
    a = np.ones((50, 50))
    with on_threads(2):
        callers = [
            threading.Thread(target=in_pieces, args=(lambda *_: a @ a, 20, 1), kwargs={"products": True})
            for _ in range(4)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert blas_threads() == before


@pytest.mark.parametrize("products", [False, True])
def test_an_error_arrives_and_leaves_nothing_behind(products):
    before = blas_threads()

    def fails(start, stop):
        if start == 2:
            raise ArithmeticError("piece 2")

    with on_threads(2), pytest.raises(ArithmeticError, match="piece 2"):
        in_pieces(fails, 5, 1, products=products)
    assert blas_threads() == before


def test_without_threadpoolctl_products_run_one_after_the_other(monkeypatch):
    monkeypatch.setattr(threads, "_libraries", lambda: None)
    seen = []
    with on_threads(2):
        in_pieces(lambda start, stop: seen.append((start, threading.get_ident())), 5, 1, products=True)
    assert [start for start, _ in seen] == [0, 1, 2, 3, 4]
    assert {who for _, who in seen} == {threading.get_ident()}


def test_pieces_within_pieces_do_not_lock_up():
    seen = []
    with on_threads(2):
        in_pieces(lambda i, _: in_pieces(lambda j, _: seen.append((i, j)), 5, 1), 5, 1)
    assert sorted(seen) == [(i, j) for i in range(5) for j in range(5)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_threads_of_a_forked_child_are_its_own():
    code = """
import os, numba
from dpmoracle_kernels.cpu.threads import in_pieces
numba.set_num_threads(2)
seen = []
work = lambda start, stop: seen.append(start)
in_pieces(work, 6, 1)
child = os.fork()
in_pieces(work, 6, 1)
if child == 0:
    os._exit(0 if sorted(seen) == sorted([*range(6)] * 2) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60, env=environment)
