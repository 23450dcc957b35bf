// V by the pair estimator: what the products of features with the levels' coefficients add up to.

#ifndef REAL
#define REAL double
#endif

// Fold a block of components into (top, total, weighted), each (samples, levels): the largest exponent so far, the sum
// of the weights 2^(exponent - top), and their sum times the residuals. A larger exponent rescales what was there.
// values : (components, samples, 2 levels), exponents of 2 first, then residuals
// Launch: ceil(samples * levels / blockDim.x) blocks.
extern "C" __global__ void fold(const REAL *values, double *top, double *total, double *weighted, int components,
                                int samples, int levels)
{
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const long long size = (long long)samples * levels;
    if (at >= size)
        return;
    const long long first = at / levels * (2LL * levels) + at % levels;
    double peak = top[at], sum = total[at], product = weighted[at];
    for (int i = 0; i < components; ++i) {
        const REAL *here = values + i * 2 * size + first;
        const double exponent = here[0], residual = here[levels];
        double weight = 1.0;
        if (exponent == -1.0 / 0.0)
            continue;
        if (exponent > peak) {
            const double factor = exp2(peak - exponent);
            sum *= factor;
            product *= factor;
            peak = exponent;
        } else {
            weight = exp2((REAL)(exponent - peak));
        }
        sum += weight;
        product += weight * residual;
    }
    top[at] = peak;
    total[at] = sum;
    weighted[at] = product;
}
