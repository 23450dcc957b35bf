// Posterior weights of a mixture with one shared isotropic covariance, for all levels from one set of products.
//
// Sample m was drawn from component own[m]; with D = y_i - y_own, G = |D|^2/2 - <p, D> and E = <eps, D>, component i
// has the weight share[i] exp(-distance[t] G + noise[t] E) at level t. The exponent of the own component is 0 and no
// other is above a few tens, so nothing overflows and no pass for the maximum is needed.
// G and E come from the products x_0 Y' and eps Y' and need no array of their own.
//
// REAL is the precision of products and exponentials; sums are double whatever it is.

#ifndef REAL
#define REAL double
#endif

constexpr int THREADS = 128;
constexpr int LEVELS = 4;     // of a thread: each pair (G, E) read from shared memory serves four exponentials
constexpr int CHUNK = 128;    // components of a block at a time

// Below this power of two a weight is no normal number and counts as 0; at high SNR whole warps skip the exponential.
constexpr REAL LEAST = sizeof(REAL) == 8 ? -1021 : -125;

struct Gap { REAL distance, noise; };

// (G, E) of component i and sample m, of `components` columns in this block; the own one is exactly 0.
__device__ Gap gap(const REAL *data_products, const REAL *noise_products, const REAL *half_norms, const int *own,
                   const double *own_data, const double *own_noise, int m, int i, int components)
{
    if (i == own[m])
        return {0, 0};
    const long long at = (long long)m * components + i;
    return {(REAL)((double)half_norms[i] - data_products[at] + own_data[m]),
            (REAL)((double)noise_products[at] - own_noise[m])};
}

// sums[m, t] += sum over i of weight (1, G, E).
// half_norms : |y_i|^2/2       own_data : <x_0, y_own> - |y_own|^2/2       own_noise : <eps, y_own>
// own        : column of the own component, or -1 if it is in another block of components
// distance, noise : (levels) factors times log2(e)
// Launch: grid (ceil(levels / (THREADS LEVELS)), samples), THREADS threads.
extern "C" __global__ void add_pair_sums(const REAL *data_products, const REAL *noise_products, const REAL *half_norms,
                                         const REAL *share, const int *own, const double *own_data,
                                         const double *own_noise, const REAL *distance, const REAL *noise, double *sums,
                                         int components, int levels)
{
    __shared__ Gap gaps[CHUNK];
    __shared__ REAL shares[CHUNK];
    const int m = blockIdx.y;
    const int first = blockIdx.x * THREADS * LEVELS + threadIdx.x;
    REAL pull[LEVELS], push[LEVELS];
    double total[LEVELS][3];
    for (int l = 0; l < LEVELS; ++l) {
        const int t = first + l * THREADS;
        pull[l] = t < levels ? distance[t] : (REAL)0;
        push[l] = t < levels ? noise[t] : (REAL)0;
        total[l][0] = total[l][1] = total[l][2] = 0.0;
    }
    for (int start = 0; start < components; start += CHUNK) {
        const int width = components - start < CHUNK ? components - start : CHUNK;
        __syncthreads();
        if ((int)threadIdx.x < width) {
            const int i = start + threadIdx.x;
            gaps[threadIdx.x] =
                gap(data_products, noise_products, half_norms, own, own_data, own_noise, m, i, components);
            shares[threadIdx.x] = share[i];
        }
        __syncthreads();
        REAL part[LEVELS][3] = {};
        for (int i = 0; i < width; ++i)
            for (int l = 0; l < LEVELS; ++l) {
                const REAL exponent = push[l] * gaps[i].noise - pull[l] * gaps[i].distance;
                if (exponent <= LEAST)
                    continue;
                const REAL weight = shares[i] * exp2(exponent);
                part[l][0] += weight;
                part[l][1] += weight * gaps[i].distance;
                part[l][2] += weight * gaps[i].noise;
            }
        for (int l = 0; l < LEVELS; ++l)
            for (int which = 0; which < 3; ++which)
                total[l][which] += part[l][which];
    }
    for (int l = 0; l < LEVELS; ++l) {
        const int t = first + l * THREADS;
        for (int which = 0; which < 3 && t < levels; ++which)
            sums[((long long)m * levels + t) * 3 + which] += total[l][which];
    }
}

// weights[m, t, i] = the weight, for a product with the components; arguments as above.
// Launch: grid (ceil(components / THREADS), samples), THREADS threads.
extern "C" __global__ void weigh(const REAL *data_products, const REAL *noise_products, const REAL *half_norms,
                                 const REAL *share, const int *own, const double *own_data, const double *own_noise,
                                 const REAL *distance, const REAL *noise, REAL *weights, int components, int levels)
{
    const int m = blockIdx.y, i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= components)
        return;
    const Gap at = gap(data_products, noise_products, half_norms, own, own_data, own_noise, m, i, components);
    for (int t = 0; t < levels; ++t) {
        const REAL exponent = noise[t] * at.noise - distance[t] * at.distance;
        weights[((long long)m * levels + t) * components + i] =
            exponent <= LEAST ? (REAL)0 : share[i] * exp2(exponent);
    }
}
