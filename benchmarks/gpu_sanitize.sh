#!/bin/bash
# Every GPU kernel under compute-sanitizer, on the small shapes of tests/test_gpu_device.py: accesses out of bounds and
# of memory never written, races in shared memory, barriers that not all threads reach. Needs a device, compute-sanitizer
# (of the CUDA toolkit, on PATH) and the extras dev and gpu; from the root of the repository: bash benchmarks/gpu_sanitize.sh
# CuPy's pool is switched off, so that each array has bounds of its own. Exit 0 if nothing was found.
set -u
cd "$(dirname "$0")/.."
command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not on PATH; it comes with the CUDA toolkit" >&2; exit 2; }
run='import sys, cupy, pytest; cupy.cuda.set_allocator(None); sys.exit(pytest.main(sys.argv[1:]))'
failed=0
for tool in memcheck initcheck racecheck synccheck; do
    echo "== $tool"
    compute-sanitizer --tool "$tool" --error-exitcode 1 \
        python -c "$run" -q -p no:cacheprovider -m gpu tests/test_gpu_device.py || failed=1
done
exit $failed
