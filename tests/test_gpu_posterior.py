"""Scores and posterior moments on a GPU: the shipped sources and the Python that launches them, on the host."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cuda_host import hosted, needs_compiler
from test_kernels_posterior import (
    NAMES,
    agrees,
    cases,
)

pytestmark = needs_compiler


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(NAMES))
def test_kernel_is_the_plain_function(built, arguments, name):
    """float64 and float32, every layout, coincident and close components, rows far outside, 1 to 300 rows."""
    with hosted(built) as gpu:
        assert agrees(getattr(gpu, name), name, arguments)
