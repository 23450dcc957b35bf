// Posterior weights, gaps and spreads of a Gaussian mixture, every row relative to its leading component.
//
// With y = x - a m_c, pull = P_c y, spread = S_c P_c y, Delta = m_i - m_c and h = a (S_i pull - spread), component i has
//     log r_i - log r_c = log(w_i/w_c) - 1/2 log(det V_i/det V_c) + a Delta . P_i (y - a Delta/2) + a/2 (P_i y) . h,
//     G_i = P_i (Delta + h),
// so differences are formed before anything large is squared. Blocks of components, and so components streamed from
// the host, merge through (largest exponent, sum, sum times mean) with one rescaling per block.
//
// A vector in the coordinates of a component's basis is found at [row * by_row + component * by_part + k]; where the
// axes serve all components by_part is 0. Tables of the mixture are (d, components), so neighbouring threads read
// neighbouring components.

// A sum over directions in two stages, so that its rounding does not grow with their number.
struct Sum {
    double whole = 0.0, part = 0.0;

    __device__ void add(int k, double term)
    {
        part += term;
        if (k % 64 == 63) {
            whole += part;
            part = 0.0;
        }
    }

    __device__ double value() const { return whole + part; }
};

// log(v/reference) summed over directions with few logarithms: of 1 + p through log1p, of other ratios by products.
struct LogRatio {
    double sum = 0.0, near = 0.0, far = 1.0;

    __device__ void add(double v, double inverse, double difference)
    {
        const double part = difference * inverse;
        if (fabs(part) < 0.5) {
            near += part + near * part;
            if (!(near > -0.9 && near < 1e9)) {
                sum += log1p(near);
                near = 0.0;
            }
        } else {
            far *= v * inverse;
            if (!(far > 1e-100 && far < 1e100)) {
                sum += log(far);
                far = 1.0;
            }
        }
    }

    __device__ double value() const { return sum + log1p(near) + log(far); }
};

// logits[m, i] = log w_i - 1/2 (|x - a m_i|^2 in the metric P_i, and log det V_i unless one covariance serves all).
// x          : see above; the means are then those of each component in its own basis
// variance   : (rows) sigma^2
// spectrum   : (columns, components, or 1 if `shared`)
// Launch: ceil(rows * components / blockDim.x) blocks.
extern "C" __global__ void rank(const double *x, long long by_row, long long by_part, const double *a,
                                const double *variance, const double *log_weights, const double *means,
                                const double *spectrum, double *logits, int rows, int components, int d, int columns,
                                int shared, int centred)
{
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (long long)rows * components)
        return;
    const int m = at / components, i = at % components;
    const int kinds = shared ? 1 : components, kind = shared ? 0 : i;
    const double scale = a[m], s2 = variance[m];
    const double *row = x + m * by_row + i * by_part;
    double distance = 0.0, volume = 1.0, log_det = 0.0, v = 1.0;
    for (int k = 0; k < d; ++k) {
        if (k < columns) {
            v = scale * scale * spectrum[(long long)k * kinds + kind] + s2;
            volume *= v;
            if (!(volume > 1e-100 && volume < 1e100)) {
                log_det += log(volume);
                volume = 1.0;
            }
        }
        const double away = centred ? row[k] : row[k] - scale * means[(long long)k * components + i];
        distance += away * away / v;
    }
    log_det = shared ? 0.0 : (d / columns) * (log_det + log(volume));
    logits[at] = log_weights[i] - 0.5 * (distance + log_det);
}

// y, pull, spread and E_c[x_0|x] of each row, in the coordinates of the basis of its leading component; y in the axes.
// means, spectrum, basis : (leads, d), (leads or 1, columns), (leads, d, d) of the components that lead; slot : (rows)
// Launch: ceil(rows * d / blockDim.x) blocks.
extern "C" __global__ void lead(const double *x, const double *a, const double *variance, const int *slot,
                                const double *means, const double *spectrum, const double *basis, double *y,
                                double *pull, double *spread, double *own, int rows, int d, int columns, int shared,
                                int turned)
{
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (long long)rows * d)
        return;
    const int m = at / d, k = at % d;
    const double scale = a[m], s2 = variance[m];
    const double e = spectrum[(shared ? 0LL : (long long)slot[m] * columns) + (columns == 1 ? 0 : k)];
    const double v = scale * scale * e + s2;
    const double *row = x + (long long)m * d, *centre = means + (long long)slot[m] * d;
    y[at] = row[k] - scale * centre[k];
    double along = y[at], middle = centre[k], here = row[k];
    if (turned) {
        const double *frame = basis + (long long)slot[m] * d * d;
        along = middle = here = 0.0;
        for (int j = 0; j < d; ++j) {
            const double factor = frame[(long long)j * d + k];
            along += (row[j] - scale * centre[j]) * factor;
            middle += centre[j] * factor;
            here += row[j] * factor;
        }
    }
    pull[at] = along / v;
    spread[at] = e * pull[at];
    own[at] = (s2 * middle + scale * e * here) / v;
}

// Vectors (rows, d) from the coordinates of the bases of the leading components to the axes.
// Launch: ceil(rows * d / blockDim.x) blocks.
extern "C" __global__ void turn_back(const double *values, const int *slot, const double *basis, double *out,
                                     int rows, int d)
{
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (long long)rows * d)
        return;
    const int m = at / d, j = at % d;
    const double *line = basis + ((long long)slot[m] * d + j) * d, *row = values + (long long)m * d;
    double total = 0.0;
    for (int k = 0; k < d; ++k)
        total += line[k] * row[k];
    out[at] = total;
}

// exponents[m, i] = log r_i - log r_c, and squares[m, i] = sigma^2 Tr(S_i P_i) + sigma^4 |G_i|^2.
// y, pull, spread : see above (by_row, by_part)
// x               : (rows, d), or if `turned` U_i' (x - a m_i) at [m * away_row + i * away_part + k]
// apart           : if `turned` U_i' (m_i - m_c), (components, leads, d)
// gaps            : if `turned` U_i' G_i, where `pull` was
// centres, lead_spectrum, lead_weights : (leads, d), (leads or 1, columns), (leads) of the components that lead
// Launch: ceil(rows * components / blockDim.x) blocks.
extern "C" __global__ void compare(const double *y, double *pull, const double *spread, long long by_row,
                                   long long by_part, const double *x, long long away_row, long long away_part,
                                   const double *apart, const double *a, const double *variance, const int *slot,
                                   const double *log_weights, const double *means, const double *spectrum,
                                   const double *lead_weights, const double *centres, const double *lead_spectrum,
                                   double *exponents, double *squares, int rows, int components, int leads, int d,
                                   int columns, int shared, int turned)
{
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (long long)rows * components)
        return;
    const int m = at / components, i = at % components;
    const int kinds = shared ? 1 : components, kind = shared ? 0 : i, c = slot[m];
    const double scale = a[m], s2 = variance[m];
    const long long mine = m * by_row + i * by_part;
    const double *away_from = x + m * away_row + i * away_part;
    Sum total, square, within;
    double e = 0.0, inverse = 1.0;
    LogRatio ratio;
    for (int k = 0; k < d; ++k) {
        if (k < columns) {
            e = spectrum[(long long)k * kinds + kind];
            const double v = scale * scale * e + s2;
            inverse = 1.0 / v;
            if (!shared) {
                const double other = lead_spectrum[(long long)c * columns + k];
                ratio.add(v, 1.0 / (scale * scale * other + s2), scale * scale * (e - other));
            }
        }
        const double mean = turned ? 0.0 : means[(long long)k * components + i];
        const double delta = turned ? apart[((long long)i * leads + c) * d + k] : mean - centres[(long long)c * d + k];
        const double step = scale * delta, from = y[mine + k];
        double term = step * (from - 0.5 * step) * inverse, gap = delta;
        if (!shared) {
            const double h = scale * (e * pull[mine + k] - spread[mine + k]);
            const double away = turned ? away_from[k] : away_from[k] - scale * mean;
            const double bend = 0.5 * scale * from * h * inverse;
            const double one = 0.5 * from * pull[mine + k], two = 0.5 * away * away * inverse;
            term = fabs(term) + fabs(bend) <= fabs(one) + two ? term + bend : one - two;
            gap += h;
        }
        gap *= inverse;
        total.add(k, term);
        square.add(k, gap * gap);
        within.add(k, e * inverse);
        if (turned)
            pull[mine + k] = gap;
    }
    const double volumes = shared ? 0.0 : 0.5 * (d / columns) * ratio.value();
    exponents[at] = total.value() + (log_weights[i] - lead_weights[c] - volumes);
    squares[at] = s2 * (within.value() + s2 * square.value());
}

constexpr int THREADS = 128;

// exp(value - peak), where no component so far has any weight 0.
__device__ inline double relative_to(double peak, double value)
{
    return value > -1.0 / 0.0 || value != value ? exp(value - peak) : 0.0;
}

// Exponents of a block of components become weights relative to the largest exponent so far, which with its component,
// the sum of the weights, that of all but the leading component, and their sum times `squares` is kept in top, best,
// total, others and second; rescale is what the sums of earlier blocks are to be multiplied by. The weight of the
// leading component (which) is left as 0: it has no gap, and what the others add stays as exact as their weights. The
// smallest index wins a tie.
// Launch: ceil(rows / blockDim.y) blocks of blockDim.x lanes, a power of two, times blockDim.y rows, THREADS together.
extern "C" __global__ void merge(double *exponents, const double *squares, const int *which, double *top, int *best,
                                 double *total, double *others, double *second, double *rescale, int rows,
                                 int components, int first)
{
    __shared__ double largest[THREADS], sums[THREADS], rest[THREADS], seconds[THREADS];
    __shared__ int where[THREADS];
    const int lane = threadIdx.x, lanes = blockDim.x, spot = threadIdx.y * lanes + lane;
    const int m = blockIdx.x * blockDim.y + threadIdx.y;
    const bool inside = m < rows;
    const long long row = (long long)m * components;
    double peak = inside ? top[m] : 0.0;
    int chosen = inside ? best[m] : -1;
    const double before = peak;
    for (int i = lane; inside && i < components; i += lanes)
        if (exponents[row + i] > peak) {
            peak = exponents[row + i];
            chosen = first + i;
        }
    largest[spot] = peak;
    where[spot] = chosen;
    __syncthreads();
    for (int half = lanes / 2; half > 0; half /= 2) {
        if (lane < half) {
            const double other = largest[spot + half];
            if (other > largest[spot] || (other == largest[spot] && where[spot + half] < where[spot])) {
                largest[spot] = other;
                where[spot] = where[spot + half];
            }
        }
        __syncthreads();
    }
    peak = largest[threadIdx.y * lanes];
    double sum = 0.0, other = 0.0, spread = 0.0;
    for (int i = lane; inside && i < components; i += lanes) {
        const double weight = relative_to(peak, exponents[row + i]);
        const bool leads = first + i == which[m];
        exponents[row + i] = leads ? 0.0 : weight;
        sum += weight;
        other += leads ? 0.0 : weight;
        spread += weight * squares[row + i];
    }
    sums[spot] = sum;
    rest[spot] = other;
    seconds[spot] = spread;
    __syncthreads();
    for (int half = lanes / 2; half > 0; half /= 2) {
        if (lane < half) {
            sums[spot] += sums[spot + half];
            rest[spot] += rest[spot + half];
            seconds[spot] += seconds[spot + half];
        }
        __syncthreads();
    }
    if (inside && lane == 0) {
        const double factor = relative_to(peak, before);
        rescale[m] = factor;
        total[m] = factor * total[m] + sums[spot];
        others[m] = factor * others[m] + rest[spot];
        second[m] = factor * second[m] + seconds[spot];
        top[m] = peak;
        best[m] = where[spot];
    }
}

// sums[m, k] = rescale[m] sums[m, k] + sum over i of weights[m, i] G_i[k], where the axes serve all components.
// means, spectrum : (components, d) and (components or 1, columns), so neighbouring threads read neighbouring k
// Launch: ceil(rows * d / blockDim.x) blocks.
extern "C" __global__ void add_gaps(const double *weights, const double *rescale, const double *pull,
                                    const double *spread, const double *a, const double *variance, const int *slot,
                                    const double *means, const double *spectrum, const double *centres, double *sums,
                                    int rows, int components, int d, int columns, int shared)
{
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (long long)rows * d)
        return;
    const int m = at / d, k = at % d, column = columns == 1 ? 0 : k;
    const double scale = a[m], s2 = variance[m];
    const double centre = centres[(long long)slot[m] * d + k];
    double sum = 0.0;
    for (int i = 0; i < components; ++i) {
        const double weight = weights[(long long)m * components + i];
        if (weight == 0.0)
            continue;
        double gap = means[(long long)i * d + k] - centre;
        if (!shared) {
            const double e = spectrum[(long long)i * columns + column];
            gap += scale * (e * pull[at] - spread[at]);
            gap /= scale * scale * e + s2;
        }
        sum += weight * gap;
    }
    if (shared)
        sum /= scale * scale * spectrum[column] + s2;
    sums[at] = rescale[m] * sums[at] + sum;
}
