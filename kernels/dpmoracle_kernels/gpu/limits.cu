// What a device can do, for the benchmarks: exponentials per second, and additions in float64 that are compared.
// Nothing here is read from or written to memory while it counts.

#ifndef REAL
#define REAL double
#endif

constexpr int THREADS = 256;
constexpr int CHAINS = 8;   // exponentials of a thread that do not wait for each other
constexpr int ROWS = 4, COLS = 8;

// out[thread] = the sum of CHAINS numbers after `rounds` exponentials each: x -> 2^-x stays in [1/2, 1].
// Launch: any grid of THREADS threads; out has one entry for each.
extern "C" __global__ void exponentials(REAL *out, int rounds)
{
    REAL x[CHAINS];
    for (int c = 0; c < CHAINS; ++c)
        x[c] = (REAL)1 / (REAL)(2 + c + (int)threadIdx.x);
    for (int round = 0; round < rounds; ++round)
        for (int c = 0; c < CHAINS; ++c)
            x[c] = exp2(-x[c]);
    REAL total = 0;
    for (int c = 0; c < CHAINS; ++c)
        total += x[c];
    out[blockIdx.x * THREADS + threadIdx.x] = total;
}

// out[thread] = the sum of ROWS x COLS minima, each over `rounds` sums of two numbers from a table of THREADS.
// Launch: any grid of THREADS threads; seed has THREADS entries, out one for each thread.
extern "C" __global__ void add_compare(const double *seed, double *out, int rounds)
{
    __shared__ double table[THREADS];
    table[threadIdx.x] = seed[threadIdx.x];
    __syncthreads();
    double best[ROWS][COLS];
    for (int i = 0; i < ROWS; ++i)
        for (int j = 0; j < COLS; ++j)
            best[i][j] = 1e300;
    for (int round = 0; round < rounds; ++round) {
        double row[ROWS], col[COLS];
        for (int i = 0; i < ROWS; ++i)
            row[i] = table[(round + i) % THREADS];
        for (int j = 0; j < COLS; ++j)
            col[j] = table[(round + j + (int)threadIdx.x) % THREADS];
        for (int i = 0; i < ROWS; ++i)
            for (int j = 0; j < COLS; ++j) {
                const double sum = row[i] + col[j];
                if (sum < best[i][j])
                    best[i][j] = sum;
            }
    }
    double total = 0.0;
    for (int i = 0; i < ROWS; ++i)
        for (int j = 0; j < COLS; ++j)
            total += best[i][j];
    out[blockIdx.x * THREADS + threadIdx.x] = total;
}
