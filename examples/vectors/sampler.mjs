// A small diffusion sampler in plain JavaScript, written from the statements in the vectors, without dpmoracle.
const { sqrt, exp, log, cos, expm1, min, max, PI } = Math;
const sum = (terms) => terms.reduce((total, term) => total + term, 0);

export function alphaBar({ kind, N, beta_start: low, beta_end: high, s, max_beta, betas }, t) {
  const f = (k) => cos(((k / N + s) / (1 + s)) * (PI / 2)) ** 2;
  const even = (a, b, k) => a + ((b - a) * (k - 1)) / (N - 1);
  const beta = {
    linear: (k) => even(low, high, k),
    scaled_linear: (k) => even(sqrt(low), sqrt(high), k) ** 2,
    sigmoid: (k) => low + (high - low) / (1 + exp(-even(-6, 6, k))),
    cosine: (k) => min(1 - f(k) / f(k - 1), max_beta),
    betas: (k) => betas[k - 1],
  }[kind];
  return Array.from({ length: t }, (_, k) => 1 - beta(k + 1)).reduce((product, alpha) => product * alpha, 1);
}

// Theorem 1 of Analytic-DPM, from V_t or from the score norm.
export function optimalVariance({ schedule, s, t, lam2, mmse_t, gamma_t }) {
  const p = alphaBar(schedule, s), q = alphaBar(schedule, t);
  const c = sqrt(p) - sqrt(1 - p - lam2) * sqrt(q / (1 - q));
  return lam2 + c ** 2 * (mmse_t ?? ((1 - q) / q) * (1 - (1 - q) * gamma_t));
}

// The score of a x_0 + sigma eps at x, for a mixture with diagonal covariances.
export function score({ weights, means, covariances }, a, sigma, x) {
  const v = covariances.map((row) => row.map((s) => a * a * s + sigma * sigma));
  const away = (i, k) => a * means[i][k] - x[k];
  const logs = v.map((row, i) => log(weights[i]) - sum(row.map((w, k) => away(i, k) ** 2 / w + log(w))) / 2);
  const share = logs.map((value) => exp(value - max(...logs)));
  return x.map((_, k) => sum(share.map((r, i) => (r * away(i, k)) / v[i][k])) / sum(share));
}

// What a perfect network says: x_0 ("data") or eps ("noise").
export function network(mixture, prediction, a, s, x) {
  const slope = score(mixture, a, s, x);
  return x.map((value, k) => (prediction === "data" ? (value + s * s * slope[k]) / a : -s * slope[k]));
}

export function ddimStep({ prediction, start: [a, s], end: [b, r], x, output }) {
  const x0 = (value, f) => (prediction === "data" ? f : (value - s * f) / a);
  const eps = (value, f) => (prediction === "data" ? (value - a * f) / s : f);
  return x.map((value, k) => b * x0(value, output[k]) + r * eps(value, output[k]));
}

// Exact for an output that is a polynomial in log(a/s) through the last nodes, newest first.
export function multistepStep({ prediction, levels, outputs, end: [a, s], x }) {
  const data = prediction === "data", lam = levels.map(([a, s]) => log(a / s)), h = log(a / s) - lam[0];
  const keep = data ? s / levels[0][1] : a / levels[0][0];
  const m = [data ? -a * expm1(-h) : -s * expm1(h)]; // the integrals of 1, l, l^2 with their weight
  for (const j of [1, 2]) m[j] = (data ? a : s) * h ** j + (data ? -j : j) * m[j - 1];
  const newton = [m[0], m[1], m[2] + (lam[0] - lam[1]) * m[1]];
  const divided = (i, j, k) =>
    i === j ? outputs[i][k] : (divided(i, j - 1, k) - divided(i + 1, j, k)) / (lam[i] - lam[j]);
  return x.map((value, k) => keep * value + sum(outputs.map((_, j) => newton[j] * divided(0, j, k))));
}

// One evaluation a step; orders 1, 2, ... until there are nodes enough.
export function solve({ mixture, nodes, x, prediction, order = 1 }) {
  return x.map((at) => {
    let levels = [], outputs = [];
    for (let i = 0; i + 1 < nodes.length; i += 1) {
      levels = [nodes[i], ...levels].slice(0, order);
      outputs = [network(mixture, prediction, ...nodes[i], at), ...outputs].slice(0, order);
      const [start, end] = [nodes[i], nodes[i + 1]];
      at = order === 1
        ? ddimStep({ prediction, start, end, x: at, output: outputs[0] })
        : multistepStep({ prediction, levels, outputs, end, x: at });
    }
    return at;
  });
}
