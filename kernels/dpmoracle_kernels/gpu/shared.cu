// Posterior weights of a mixture with one shared isotropic covariance, for all levels from one set of products.
//
// Sample m was drawn from component own[m]; with D = y_i - y_own, G = |D|^2/2 - <p, D> and E = <eps, D>, component i
// has the weight share[i] exp(-distance[t] G + noise[t] E) at level t. The exponent of the own component is 0 and no
// other is above a few tens, so nothing overflows and no pass for the maximum is needed.
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

// Products become exponents, in place: `distance` holds <x_0, y_i> and gets G, `noise` holds <eps, y_i> and gets E,
// both (samples, components). The own component gets exactly 0; where G is below `near` times the norms the products
// have cancelled, and both come from the differences D.
// half_norms : (components) |y_i|^2/2            own : row of the own component, -1 if it is not among these
// own_half, own_data, own_noise : (samples) |y_own|^2/2, <x_0, y_own> and <eps, y_own>
// means : (components, d)                        own_mean, offset, draw : (samples, d) y_own, p and eps
// Launch: grid (ceil(components / THREADS), samples), THREADS threads.
extern "C" __global__ void relate(REAL *distance, REAL *noise, const REAL *half_norms, const int *own,
                                  const double *own_half, const double *own_data, const double *own_noise,
                                  const REAL *means, const double *own_mean, const double *offset, const double *draw,
                                  int components, int d, double near)
{
    const int m = blockIdx.y, i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= components)
        return;
    const long long at = (long long)m * components + i;
    double g = ((double)half_norms[i] - own_half[m]) - ((double)distance[at] - own_data[m]);
    double e = (double)noise[at] - own_noise[m];
    if (i == own[m])
        g = e = 0.0;
    else if (g <= near * ((double)half_norms[i] + own_half[m])) {
        double square = 0.0, along = 0.0;
        e = 0.0;
        for (int j = 0; j < d; ++j) {
            const long long k = (long long)m * d + j;
            const double apart = (double)means[(long long)i * d + j] - own_mean[k];
            square += apart * apart;
            along += offset[k] * apart;
            e += draw[k] * apart;
        }
        g = 0.5 * square - along;
    }
    distance[at] = (REAL)g;
    noise[at] = (REAL)e;
}

// sums[m, t] += sum over i of weight (1, G, E).
// distance, noise : (samples, components) G and E      share : (components) weights of the prior
// pull, push      : (levels) what multiplies -G and E in the exponent, times log2(e)
// Launch: grid (ceil(levels / (THREADS LEVELS)), samples), THREADS threads.
extern "C" __global__ void add_pair_sums(const REAL *distance, const REAL *noise, const REAL *share, const REAL *pull,
                                         const REAL *push, double *sums, int components, int levels)
{
    __shared__ REAL g[CHUNK], e[CHUNK], prior[CHUNK];
    const long long row = (long long)blockIdx.y * components;
    const int first = blockIdx.x * THREADS * LEVELS + threadIdx.x;
    REAL down[LEVELS], up[LEVELS];
    double total[LEVELS][3];
    for (int l = 0; l < LEVELS; ++l) {
        const int t = first + l * THREADS;
        down[l] = t < levels ? pull[t] : (REAL)0;
        up[l] = t < levels ? push[t] : (REAL)0;
        total[l][0] = total[l][1] = total[l][2] = 0.0;
    }
    for (int start = 0; start < components; start += CHUNK) {
        const int width = components - start < CHUNK ? components - start : CHUNK;
        __syncthreads();
        if ((int)threadIdx.x < width) {
            const int i = start + threadIdx.x;
            g[threadIdx.x] = distance[row + i];
            e[threadIdx.x] = noise[row + i];
            prior[threadIdx.x] = share[i];
        }
        __syncthreads();
        REAL part[LEVELS][3] = {};
        for (int i = 0; i < width; ++i)
            for (int l = 0; l < LEVELS; ++l) {
                const REAL exponent = up[l] * e[i] - down[l] * g[i];
                if (exponent <= LEAST)
                    continue;
                const REAL weight = prior[i] * exp2(exponent);
                part[l][0] += weight;
                part[l][1] += weight * g[i];
                part[l][2] += weight * e[i];
            }
        for (int l = 0; l < LEVELS; ++l)
            for (int which = 0; which < 3; ++which)
                total[l][which] += part[l][which];
    }
    for (int l = 0; l < LEVELS; ++l) {
        const int t = first + l * THREADS;
        for (int which = 0; which < 3 && t < levels; ++which)
            sums[((long long)blockIdx.y * levels + t) * 3 + which] += total[l][which];
    }
}

// weights[t, i] of one sample, for a product with the components; distance and noise are its rows of G and E.
// Launch: ceil(components / THREADS) blocks of THREADS threads.
extern "C" __global__ void weigh(const REAL *distance, const REAL *noise, const REAL *share, const REAL *pull,
                                 const REAL *push, REAL *weights, int components, int levels)
{
    const int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= components)
        return;
    for (int t = 0; t < levels; ++t) {
        const REAL exponent = push[t] * noise[i] - pull[t] * distance[i];
        weights[(long long)t * components + i] = exponent <= LEAST ? (REAL)0 : share[i] * exp2(exponent);
    }
}
