// Posterior weights, scores and moments of many rows at one level, from the distances themselves:
//     r_i ~ w_i det(P_i)^1/2 exp(-q_i/2),  q_i = (x - a m_i) . P_i (x - a m_i),  score = -sum r_i P_i (x - a m_i).
//
// Rows stand in columns: x is (d, rows), so neighbouring threads read neighbouring rows and all of a warp reads the
// same entry of the mixture's tables. REAL is the precision of tables, products and terms; sums over components, and
// over more than CHUNK directions, are double.

#ifndef REAL
#define REAL double
#endif

constexpr int THREADS = 128;
constexpr int TILE = 4;      // components, or directions, of a thread: one read of x or of a weight serves all
constexpr int CHUNK = 32;    // directions summed in REAL
constexpr int ROWS = 32;     // of a block of `soften`
constexpr int LANES = 8;     // of a row there

// F_i (x - a m_i) for an F_i that is diagonal in the axes: (kinds, columns), one kind or column serving all.
struct Axes {
    const REAL *factor, *centre, *x;
    int rows, d, kinds, columns;

    __device__ REAL times(int i, int k) const
    {
        return factor[(long long)(kinds == 1 ? 0 : i) * columns + (columns == 1 ? 0 : k)];
    }
    __device__ REAL operator()(int i, int k, int m) const
    {
        return times(i, k) * (x[(long long)k * rows + m] - centre[(long long)i * d + k]);
    }
};

// The same for a full F_i: products (components, d, rows) are F_i x, shift (components, d) is F_i a m_i.
struct Bases {
    const REAL *products, *shift;
    int rows, d;

    __device__ REAL operator()(int i, int k, int m) const
    {
        const long long line = (long long)i * d + k;
        return products[line * rows + m] - shift[line];
    }
};

template <class Pull>
__device__ void fill_logits(Pull pull, const REAL *x, const REAL *centre, const double *share, double *logits,
                            int rows, int components, int d)
{
    const int m = blockIdx.x * THREADS + threadIdx.x;
    if (m >= rows)
        return;
    for (int first = blockIdx.y * TILE; first < components; first += gridDim.y * TILE) {
        const int width = components - first < TILE ? components - first : TILE;
        double total[TILE] = {};
        for (int start = 0; start < d; start += CHUNK) {
            const int stop = start + CHUNK < d ? start + CHUNK : d;
            REAL part[TILE] = {};
            for (int k = start; k < stop; ++k) {
                const REAL here = x[(long long)k * rows + m];
                for (int j = 0; j < TILE; ++j)
                    if (j < width) {
                        const int i = first + j;
                        part[j] += (here - centre[(long long)i * d + k]) * pull(i, k, m);
                    }
            }
            for (int j = 0; j < TILE; ++j)
                total[j] += part[j];
        }
        for (int j = 0; j < width; ++j)
            logits[(long long)(first + j) * rows + m] = share[first + j] - 0.5 * total[j];
    }
}

// logits[i, m] = share[i] - q_i/2, from P_i on the axes or from its products with x.
// Launch: grid (ceil(rows / THREADS), at most ceil(components / TILE)), THREADS threads.
extern "C" __global__ void logits_axes(const REAL *x, const REAL *centre, const REAL *inverse, const double *share,
                                       double *logits, int rows, int components, int d, int kinds, int columns)
{
    fill_logits(Axes{inverse, centre, x, rows, d, kinds, columns}, x, centre, share, logits, rows, components, d);
}

extern "C" __global__ void logits_bases(const REAL *x, const REAL *centre, const REAL *products, const REAL *shift,
                                        const double *share, double *logits, int rows, int components, int d)
{
    fill_logits(Bases{products, shift, rows, d}, x, centre, share, logits, rows, components, d);
}

// Logits (components, rows) become normalised weights; log_total, which and spread are the log of their sum, the
// component of the largest (the smallest index wins a tie), far half the distance q of that one, and the weighted sum
// of `within`.
// Launch: ceil(rows / ROWS) blocks of ROWS x LANES threads.
extern "C" __global__ void soften(double *logits, const double *share, const double *within, double *log_total,
                                  int *which, double *far, double *spread, int rows, int components)
{
    __shared__ double tops[LANES][ROWS], sums[LANES][ROWS], seconds[LANES][ROWS];
    __shared__ int best[LANES][ROWS];
    const int m = blockIdx.x * ROWS + threadIdx.x, lane = threadIdx.y;
    // Online: a new largest exponent rescales what has been summed.
    double top = -1.0 / 0.0, sum = 0.0, second = 0.0;
    int chosen = components;
    for (int i = lane; m < rows && i < components; i += LANES) {
        const double value = logits[(long long)i * rows + m];
        if (value == -1.0 / 0.0)
            continue;
        if (value > top) {
            const double factor = exp(top - value);
            sum *= factor;
            second *= factor;
            top = value;
            chosen = i;
        }
        const double weight = exp(value - top);
        sum += weight;
        second += weight * within[i];
    }
    tops[lane][threadIdx.x] = top;
    best[lane][threadIdx.x] = chosen;
    sums[lane][threadIdx.x] = sum;
    seconds[lane][threadIdx.x] = second;
    __syncthreads();
    top = tops[0][threadIdx.x];
    chosen = best[0][threadIdx.x];
    for (int other = 1; other < LANES; ++other) {
        const double value = tops[other][threadIdx.x];
        if (value > top || (value == top && best[other][threadIdx.x] < chosen)) {
            top = value;
            chosen = best[other][threadIdx.x];
        }
    }
    sum = second = 0.0;
    for (int other = 0; other < LANES; ++other) {
        if (sums[other][threadIdx.x] == 0.0)
            continue;
        const double factor = exp(tops[other][threadIdx.x] - top);
        sum += factor * sums[other][threadIdx.x];
        second += factor * seconds[other][threadIdx.x];
    }
    if (m >= rows)
        return;
    for (int i = lane; i < components; i += LANES) {
        const long long at = (long long)i * rows + m;
        logits[at] = exp(logits[at] - top) / sum;
    }
    if (lane == 0) {
        log_total[m] = top + log(sum);
        which[m] = chosen;
        far[m] = chosen < components ? share[chosen] - top : 1.0 / 0.0;   // nan among the logits
        spread[m] = second / sum;
    }
}

template <class Pull>
__device__ void fill_score(Pull pull, const double *weights, REAL *score, int rows, int components, int d)
{
    const int m = blockIdx.x * THREADS + threadIdx.x;
    if (m >= rows)
        return;
    for (int first = blockIdx.y * TILE; first < d; first += gridDim.y * TILE) {
        double total[TILE] = {};
        for (int i = 0; i < components; ++i) {
            const double weight = weights[(long long)i * rows + m];
            if (weight == 0.0)
                continue;
            for (int j = 0; j < TILE; ++j)
                if (first + j < d)
                    total[j] += weight * pull(i, first + j, m);
        }
        for (int j = 0; j < TILE && first + j < d; ++j)
            score[(long long)(first + j) * rows + m] = (REAL)-total[j];
    }
}

// score (d, rows) = -sum over i of weights[i, m] P_i (x - a m_i).
// Launch: grid (ceil(rows / THREADS), at most ceil(d / TILE)), THREADS threads.
extern "C" __global__ void score_axes(const REAL *x, const REAL *centre, const REAL *inverse, const double *weights,
                                      REAL *score, int rows, int components, int d, int kinds, int columns)
{
    fill_score(Axes{inverse, centre, x, rows, d, kinds, columns}, weights, score, rows, components, d);
}

extern "C" __global__ void score_bases(const REAL *products, const REAL *shift, const double *weights, REAL *score,
                                       int rows, int components, int d)
{
    fill_score(Bases{products, shift, rows, d}, weights, score, rows, components, d);
}

// E[x_0|x] and the variance between the components' means E_i[x_0|x], both from their differences to that of the
// leading component c: mean = lead(k) + sum of weight * off(i, k).
template <class Offsets>
__device__ void fill_mean(Offsets offsets, const double *weights, const int *which, REAL *mean, double *between,
                          int rows, int components, int d)
{
    const int m = blockIdx.x * THREADS + threadIdx.x;
    if (m >= rows)
        return;
    const int c = which[m] < components ? which[m] : 0;
    for (int first = blockIdx.y * TILE; first < d; first += gridDim.y * TILE) {
        double total[TILE] = {}, square[TILE] = {};
        REAL own[TILE];
        for (int j = 0; j < TILE; ++j)
            own[j] = first + j < d ? offsets.pull(c, first + j, m) : (REAL)0;
        for (int i = 0; i < components; ++i) {
            const double weight = weights[(long long)i * rows + m];
            if (weight == 0.0 || i == c)
                continue;
            for (int j = 0; j < TILE; ++j)
                if (first + j < d) {
                    const double off = offsets(i, c, first + j, m, own[j]);
                    total[j] += weight * off;
                    square[j] += weight * off * off;
                }
        }
        for (int j = 0; j < TILE && first + j < d; ++j) {
            const long long at = (long long)(first + j) * rows + m;
            mean[at] = (REAL)(offsets.lead(c, first + j, m, own[j]) + total[j]);
            between[at] = square[j] - total[j] * total[j];
        }
    }
}

// E_i - E_c = sigma^2 P_i (Delta + a (S_i - S_c) P_c (x - a m_c)): no digit is lost however close or wide they are.
struct AxesOffsets {
    Axes pull;
    const REAL *home, *spectrum;
    REAL a, variance;

    __device__ REAL e(int i, int k) const
    {
        return spectrum[(long long)(pull.kinds == 1 ? 0 : i) * pull.columns + (pull.columns == 1 ? 0 : k)];
    }
    __device__ REAL operator()(int i, int c, int k, int, REAL own) const
    {
        const REAL delta = home[(long long)i * pull.d + k] - home[(long long)c * pull.d + k];
        const REAL bend = pull.kinds == 1 ? (REAL)0 : a * (e(i, k) - e(c, k)) * own;
        return variance * pull.times(i, k) * (delta + bend);
    }
    __device__ REAL lead(int c, int k, int m, REAL) const
    {
        const REAL here = pull.x[(long long)k * pull.rows + m];
        return pull.times(c, k) * (variance * home[(long long)c * pull.d + k] + a * e(c, k) * here);
    }
};

// With full covariances E_i = m_i + a S_i P_i (x - a m_i), or where reach = 1/a is given, x/a - sigma^2/a P_i
// (x - a m_i), which keeps the digits of the differences where sigma^2 is small beside a^2 S_i.
struct BasesOffsets {
    Bases pull;
    const REAL *home, *x;
    REAL factor, reach;

    __device__ REAL operator()(int i, int c, int k, int m, REAL own) const
    {
        const REAL apart = factor * (pull(i, k, m) - own);
        return reach > 0 ? apart : home[(long long)i * pull.d + k] - home[(long long)c * pull.d + k] + apart;
    }
    __device__ REAL lead(int c, int k, int m, REAL own) const
    {
        const REAL from = reach > 0 ? reach * x[(long long)k * pull.rows + m] : home[(long long)c * pull.d + k];
        return from + factor * own;
    }
};

// mean (d, rows) = E[x_0|x], and between (d, rows) the variance between the components' means.
// home : (components, d) m_i        spectrum : as `inverse`, eigenvalues of S_i
// Launch: grid (ceil(rows / THREADS), at most ceil(d / TILE)), THREADS threads.
extern "C" __global__ void mean_axes(const REAL *x, const REAL *centre, const REAL *inverse, const REAL *home,
                                     const REAL *spectrum, REAL a, REAL variance, const double *weights,
                                     const int *which, REAL *mean, double *between, int rows, int components, int d,
                                     int kinds, int columns)
{
    const Axes pull{inverse, centre, x, rows, d, kinds, columns};
    fill_mean(AxesOffsets{pull, home, spectrum, a, variance}, weights, which, mean, between, rows, components, d);
}

// products, shift : of a S_i P_i and factor 1, or of P_i with factor -sigma^2/a and reach 1/a, else 0
extern "C" __global__ void mean_bases(const REAL *x, const REAL *products, const REAL *shift, const REAL *home,
                                      REAL factor, REAL reach, const double *weights, const int *which, REAL *mean,
                                      double *between, int rows, int components, int d)
{
    const BasesOffsets offsets{Bases{products, shift, rows, d}, home, x, factor, reach};
    fill_mean(offsets, weights, which, mean, between, rows, components, d);
}
