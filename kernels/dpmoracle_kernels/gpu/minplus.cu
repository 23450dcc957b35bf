// The dense (min,+) program, all layers at once, as a blocked triangular product.
//
// C_k[t] = min_{s<t} C_{k-1}[s] + F[s,t] is, for all k together, a (min,+) matrix product of the table with F in
// which column t needs the columns before it. Columns are taken in tiles of TILE: `settle` finishes one tile, and
// `update` lets it act on every later column, 64 x 64 entries a block, so that each entry of the table is read and
// written once per tile and not once per candidate.
//
// Candidates arrive with s increasing and replace only what is strictly larger: the smallest predecessor wins a tie.
// +inf is larger than nothing, so what cannot be reached keeps the predecessor -1.

constexpr int TILE = 32;   // columns settled together
constexpr int ROWS = 64;   // layers of a block
constexpr int COLS = 64;   // later columns of a block of `update`
constexpr int EDGE = 4;    // a thread of `update` holds EDGE x EDGE entries
constexpr int SIDE = ROWS / EDGE;

// Finish the columns first..first+TILE-1 of the layers 1..layers. Row k of the table needs row k - 1 in the columns
// before, so a block computes TILE - 1 rows below its own as well: column j is right from the j-th of them on. Those
// may be read from global memory before or after their own block has finished them; both give the same minimum.
// Launch: ceil(layers / ROWS) blocks of ROWS + TILE threads.
extern "C" __global__ void settle(const double *cost, double *table, int *predecessors, int n, int layers, int first)
{
    __shared__ double known[ROWS + TILE][TILE + 1];   // one column more than needed: rows fall into different banks
    __shared__ double step[TILE][TILE];
    const int row = threadIdx.x;
    const int k = blockIdx.x * ROWS + 1 - TILE + row;
    const int width = n - first < TILE ? n - first : TILE;
    const bool inside = k >= 0 && k <= layers;
    for (int j = 0; j < width; ++j)
        known[row][j] = inside ? table[(long long)k * n + first + j] : 0.0;
    for (int entry = row; entry < TILE * width; entry += ROWS + TILE) {
        const int s = entry / width, j = entry % width;
        step[s][j] = first + s < n ? cost[(long long)(first + s) * n + first + j] : 0.0;
    }
    __syncthreads();
    for (int j = 1; j < width; ++j) {
        if (row > 0 && k >= 1 && inside) {
            double best = known[row][j];
            int from = -1;
            for (int s = 0; s < j; ++s) {
                const double candidate = known[row - 1][s] + step[s][j];
                if (candidate < best) {
                    best = candidate;
                    from = first + s;
                }
            }
            known[row][j] = best;
            if (row >= TILE && from >= 0) {
                table[(long long)k * n + first + j] = best;
                predecessors[(long long)k * n + first + j] = from;
            }
        }
        __syncthreads();
    }
}

// Let the finished columns first..first+TILE-1 act on every later column, in the layers 1..layers.
// Launch: grid (ceil((n - first - TILE) / COLS), ceil(layers / ROWS)), blocks of SIDE x SIDE threads.
extern "C" __global__ void update(const double *cost, double *table, int *predecessors, int n, int layers, int first)
{
    __shared__ double reached[ROWS][TILE + 1];
    __shared__ double step[TILE][COLS];
    const int k0 = blockIdx.y * ROWS + 1;
    const int t0 = first + TILE + blockIdx.x * COLS;
    const int lane = threadIdx.y * SIDE + threadIdx.x;
    for (int entry = lane; entry < ROWS * TILE; entry += SIDE * SIDE) {
        const int i = entry / TILE, s = entry % TILE;
        reached[i][s] = k0 + i <= layers ? table[(long long)(k0 + i - 1) * n + first + s] : 0.0;
    }
    for (int entry = lane; entry < TILE * COLS; entry += SIDE * SIDE) {
        const int s = entry / COLS, j = entry % COLS;
        step[s][j] = t0 + j < n ? cost[(long long)(first + s) * n + t0 + j] : 0.0;
    }
    __syncthreads();
    double best[EDGE][EDGE];
    int from[EDGE][EDGE];
    for (int i = 0; i < EDGE; ++i)
        for (int j = 0; j < EDGE; ++j) {
            const int k = k0 + threadIdx.y + i * SIDE, t = t0 + threadIdx.x + j * SIDE;
            best[i][j] = k <= layers && t < n ? table[(long long)k * n + t] : 0.0;
            from[i][j] = -1;
        }
    for (int s = 0; s < TILE; ++s)
        for (int i = 0; i < EDGE; ++i)
            for (int j = 0; j < EDGE; ++j) {
                const double candidate = reached[threadIdx.y + i * SIDE][s] + step[s][threadIdx.x + j * SIDE];
                if (candidate < best[i][j]) {
                    best[i][j] = candidate;
                    from[i][j] = first + s;
                }
            }
    for (int i = 0; i < EDGE; ++i)
        for (int j = 0; j < EDGE; ++j) {
            const int k = k0 + threadIdx.y + i * SIDE, t = t0 + threadIdx.x + j * SIDE;
            if (k <= layers && t < n && from[i][j] >= 0) {
                table[(long long)k * n + t] = best[i][j];
                predecessors[(long long)k * n + t] = from[i][j];
            }
        }
}
