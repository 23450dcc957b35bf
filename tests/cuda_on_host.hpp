// Enough of CUDA to run a kernel's own source on the host: every thread of a block is a thread of the host, blocks
// run one after another, __syncthreads is a barrier. Where the threads of a block never meet, one after another will do. Slow and faithful: a wrong index, a missing barrier or a wrong tie
// rule gives wrong numbers here as there.
#pragma once
#include <atomic>
#include <barrier>
#include <cmath>
#include <thread>
#include <vector>

struct Extent { int x, y, z; };
inline thread_local Extent threadIdx{}, blockIdx{};
inline Extent blockDim{}, gridDim{};
inline std::barrier<> *meeting = nullptr;

#define __global__
#define __device__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
#define __shared__ static
#define __syncthreads() meeting->arrive_and_wait()


template <class Kernel, class... Arguments>
void launch(Extent grid, Extent block, Kernel kernel, Arguments... arguments)
{
    gridDim = grid;
    blockDim = block;
    std::barrier<> barrier(block.x * block.y);
    meeting = &barrier;
    std::vector<std::thread> threads;
    for (int y = 0; y < block.y; ++y)
        for (int x = 0; x < block.x; ++x)
            threads.emplace_back([=] {
                threadIdx = {x, y, 0};
                for (int by = 0; by < grid.y; ++by)
                    for (int bx = 0; bx < grid.x; ++bx) {
                        blockIdx = {bx, by, 0};
                        kernel(arguments...);
                        meeting->arrive_and_wait();   // shared memory is the next block's from here on
                    }
            });
    for (auto &thread : threads)
        thread.join();
}

template <class Kernel, class... Arguments>
void launch_apart(Extent grid, Extent block, Kernel kernel, Arguments... arguments)
{
    gridDim = grid;
    blockDim = block;
    for (int by = 0; by < grid.y; ++by)
        for (int bx = 0; bx < grid.x; ++bx)
            for (int y = 0; y < block.y; ++y)
                for (int x = 0; x < block.x; ++x) {
                    blockIdx = {bx, by, 0};
                    threadIdx = {x, y, 0};
                    kernel(arguments...);
                }
}
