"""One thread for the matrix products of the tests, and Hypothesis without a clock."""

from __future__ import annotations

import functools
import os
import signal
import sys
from typing import Any

# Before NumPy is loaded. The products here are small: threads that spin between them cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None)
# A submission must not fail on an example that the one before it happened not to draw.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


# A runner in the background (nohup, `&`) ignores Ctrl-C, and so would the commands that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(val: Any) -> str | None:
    """Name a partial by its function and arguments: its repr holds an address, which differs between workers."""
    if isinstance(val, functools.partial):
        return "-".join(
            [val.func.__name__, *map(str, val.args), *(f"{k}={v}" for k, v in val.keywords.items())]
        )
    return None


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Where CUDA sources are built for the host, once for all tests of a worker."""
    return tmp_path_factory.mktemp("cuda")


@pytest.fixture
def cupy(built):
    """A strict stand-in for CuPy, under which dpmoracle_kernels.gpu is loaded."""
    from strict_cupy import strict_cupy

    with strict_cupy(built) as module:
        yield module


@pytest.fixture
def torch_cuda(monkeypatch):
    """A stand-in for torch whose tensors may live on a GPU and whose current stream is 77."""
    from strict_cupy import fake_torch

    module = fake_torch(stream=77)
    monkeypatch.setitem(sys.modules, "torch", module)
    return module
