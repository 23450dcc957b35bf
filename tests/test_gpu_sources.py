"""CUDA sources on machines without a GPU: they compile for the devices we name, and run on the host as they are."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuda_host import KERNELS, hosted, needs_compiler, signatures
from dpmoracle.trajectory.dense import dense_layers
from dpmoracle.trajectory.monge import certify
from dpmoracle.trajectory.step_cost import cost_matrix, sum_cost
from mutation import mutant

SOURCES = sorted(KERNELS.glob("*.cu"))


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")
@pytest.mark.parametrize(
    ("path", "architecture", "real"),
    [
        *((path, architecture, "double") for path in SOURCES for architecture in ("sm_80", "sm_90")),
        *((path, "sm_90", "float") for path in SOURCES if "REAL" in path.read_text(encoding="utf-8")),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_source_compiles(path, architecture, real, tmp_path):
    out = str(tmp_path / "out.cubin")
    done = subprocess.run(
        [
            "nvcc",
            "-cubin",
            f"-arch={architecture}",
            f"-DREAL={real}",
            "-std=c++17",
            "-Werror=all-warnings",
            "-o",
            out,
            str(path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_kernel_can_be_read(path):
    code = path.read_text(encoding="utf-8")
    assert len(signatures(code)) == code.count("__global__") > 0


def costs(n, rng, ties):
    F = rng.integers(0, 4, (n, n)).astype(float) if ties else rng.standard_normal((n, n))
    F[rng.random((n, n)) < 0.2] = np.inf
    F[np.tri(n, dtype=bool)] = -9.0 if ties else np.nan  # what must never be read
    return F


def same_program(layers, sizes=(2, 33, 70, 100)):
    rng = np.random.default_rng(0)
    for n in sizes:
        for K in {1, n // 2, n - 1, n + 2}:
            F = costs(n, rng, ties=True)
            for expected, found in zip(dense_layers(F, K), layers(F, K)):
                if not np.array_equal(expected, found):
                    return False
    return True


@needs_compiler
@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 140), edges=st.integers(1, 150), ties=st.booleans(), seed=st.integers(0, 99))
def test_the_dense_program_gives_the_same_bits(built, n, edges, ties, seed):
    F = costs(n, np.random.default_rng(seed), ties)
    with hosted(built) as gpu:
        found = gpu.dense_layers(F, edges)
    for expected, value in zip(dense_layers(F, edges), found):
        np.testing.assert_array_equal(expected, value)


@needs_compiler
@pytest.mark.parametrize(
    "layout", [np.asfortranarray, lambda F: np.repeat(F, 2, 1)[:, ::2], lambda F: F.astype(">f8")]
)
def test_every_layout_is_taken(built, layout):
    F = costs(40, np.random.default_rng(3), ties=False)
    given_ = layout(F)
    given_.flags.writeable = False
    with hosted(built) as gpu:
        found = gpu.dense_layers(given_, 7)
    np.testing.assert_array_equal(found[0], dense_layers(F, 7)[0])


@needs_compiler
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (
            "if (candidate < best[i][j]) {",
            "if (candidate <= best[i][j]) {",
        ),  # the largest predecessor wins a tie
        ("if (candidate < best) {", "if (candidate <= best) {"),
        ("known[row - 1][s] + step[s][j]", "known[row][s] + step[s][j]"),  # an edge for nothing
        ("for (int s = 0; s < j; ++s) {", "for (int s = 0; s <= j; ++s) {"),  # a step from t to t
        ("k0 + i <= layers ? table[(long long)(k0 + i - 1)", "k0 + i <= layers ? table[(long long)(k0 + i)"),
        ("const int t0 = first + TILE +", "const int t0 = first + 2 * TILE +"),  # the next tile is left out
        (
            "const int k = blockIdx.x * ROWS + 1 - TILE + row;",
            "const int k = blockIdx.x * ROWS + 2 - TILE + row;",
        ),
        ("if (row >= TILE && from >= 0) {", "if (row > TILE && from >= 0) {"),
        ("known[row][j] = best;\n", "\n"),  # columns of a tile that do not see each other
    ],
)
def test_wrong_programs_are_caught(built, right, wrong):
    with hosted(built) as gpu:
        assert same_program(gpu.dense_layers)
    with hosted(built, ("minplus.cu", right, wrong)) as gpu:
        assert not same_program(gpu.dense_layers)


def curve(seed, n=60):
    """u decreasing and V with zeros, equal neighbours and rises; entries 0 as the fronts set them."""
    rng = np.random.default_rng(seed)
    u = np.append(np.inf, np.sort(10.0 ** rng.uniform(-6, 6, n))[::-1])
    v = np.append(0.0, np.round(rng.random(n), 1) / (1 + u[1:]))
    return u, v


def same_curves(gpu, seed):
    u, v = curve(seed)
    nodes = np.array([1, 4, 9, 30, 60])
    for name, plain, args in (
        ("cost_matrix", cost_matrix, (u, v)),
        ("sum_cost", sum_cost, (u, v, nodes)),
        ("certify", certify, (u, v)),
    ):
        np.testing.assert_allclose(getattr(gpu, name)(*args), plain(*args), rtol=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_costs_and_certificate(built, seed):
    with hosted(built) as gpu:
        same_curves(gpu, seed)


@pytest.mark.parametrize("rows", [1, 3, 7, 50])
def test_blocks_arrive_in_order_and_whole(built, rows):
    array = np.arange(44.0).reshape(22, 2)
    with hosted(built):
        from dpmoracle_kernels.gpu.blocks import stream

        seen = [(cut, np.array(block)) for cut, block in stream(array, rows)]
    np.testing.assert_array_equal(np.concatenate([block for _, block in seen]), array)
    assert all(np.array_equal(block, array[cut]) for cut, block in seen)


def test_a_copy_that_nobody_waits_for_is_caught(built):
    array = np.arange(44.0).reshape(22, 2)
    with hosted(built):
        from dpmoracle_kernels.gpu import blocks

        broken = mutant(blocks, ("        computing.wait_event(copied[slot])\n", ""))
        assert not all(np.array_equal(block, array[cut]) for cut, block in broken.stream(array, 5))


def test_memory_that_ends_is_named(built):
    with hosted(built) as gpu:
        import cupy

        from dpmoracle_kernels.errors import DeviceError

        cupy.full = lambda *args: (_ for _ in ()).throw(MemoryError("out of memory"))
        with pytest.raises(
            DeviceError, match=r"dense_layers: .* memory ends.*1 GiB of 2 GiB are free.*numba"
        ):
            gpu.dense_layers(np.zeros((3, 3)), 2)
