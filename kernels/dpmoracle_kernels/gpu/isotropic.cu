// What turns products of rows with the means of a mixture of one isotropic covariance into its posterior weights.
// `relate` in shared.cu stands between the two: it gives G = |m_i - m_c|^2/2 and E = <y, m_i - m_c>, y = x - a m_c.
//
// REAL is the precision of the products.

#ifndef REAL
#define REAL double
#endif

constexpr int THREADS = 128;

// The largest log w_i + pull <x, m_i> - push |m_i|^2/2 of each row so far, and its component; the smallest index wins
// a tie. products : (rows, components) <x, m_i>        pull, push : (rows) a/v and a^2/v, v = a^2 tau^2 + sigma^2
// half_norms, log_weights : (components)
// Launch: one block of THREADS threads for each row.
extern "C" __global__ void nearest(const REAL *products, const double *half_norms, const double *log_weights,
                                   const double *pull, const double *push, double *top, int *best, int components,
                                   int first)
{
    __shared__ double largest[THREADS];
    __shared__ int where[THREADS];
    const int m = blockIdx.x, lane = threadIdx.x;
    const long long row = (long long)m * components;
    double peak = top[m];
    int chosen = best[m];
    for (int i = lane; i < components; i += THREADS) {
        const double value = log_weights[i] + (pull[m] * products[row + i] - push[m] * half_norms[i]);
        if (value > peak) {
            peak = value;
            chosen = first + i;
        }
    }
    largest[lane] = peak;
    where[lane] = chosen;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (lane < half) {
            const double other = largest[lane + half];
            if (other > largest[lane] || (other == largest[lane] && where[lane + half] < where[lane])) {
                largest[lane] = other;
                where[lane] = where[lane + half];
            }
        }
        __syncthreads();
    }
    if (lane == 0) {
        top[m] = largest[0];
        best[m] = where[0];
    }
}

// exponents[m, i] = log r_i - log r_c, and squares[m, i] = Tr S_i of the posterior + |E_i[x_0|x] - E_c[x_0|x]|^2, for
// `merge` in posterior.cu.
// distance, along : (rows, components) G and E        shrink, within : (rows) (sigma^2/v)^2 and d tau^2 sigma^2/v
// Launch: ceil(rows * components / THREADS) blocks of THREADS threads.
extern "C" __global__ void relative(const REAL *distance, const REAL *along, const double *log_weights,
                                    const double *lead_weights, const double *pull, const double *push,
                                    const double *shrink, const double *within, double *exponents, double *squares,
                                    int rows, int components)
{
    const long long at = (long long)blockIdx.x * THREADS + threadIdx.x;
    if (at >= (long long)rows * components)
        return;
    const int m = at / components, i = at % components;
    const double g = distance[at], e = along[at];
    exponents[at] = (log_weights[i] - lead_weights[m]) + (pull[m] * e - push[m] * g);
    squares[at] = within[m] + 2.0 * shrink[m] * g;
}
