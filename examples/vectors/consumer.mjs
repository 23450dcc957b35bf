// Holds sampler.mjs against the vectors of dpmoracle:  dpmoracle vectors -o DIR && node consumer.mjs DIR
import { readFileSync } from "node:fs";
import { alphaBar, ddimStep, multistepStep, network, optimalVariance, score, solve } from "./sampler.mjs";

// What is implemented: a function of the inputs of each quantity; undefined where it lacks an option.
const diagonal = (f) => (given) => (given.mixture.covariance_type === "diag" ? f(given) : undefined);
const mine = {
  alpha_bar: ({ schedule, t }) => t.map((k) => alphaBar(schedule, k)),
  beta_bar: ({ schedule, t }) => t.map((k) => 1 - alphaBar(schedule, k)),
  optimal_variance: optimalVariance,
  optimal_variance_from_mmse: optimalVariance,
  score: diagonal(({ mixture, a, sigma, x }) => x.map((row) => score(mixture, a, sigma, row))),
  eps: diagonal(({ mixture, a, sigma, x }) => x.map((row) => network(mixture, "noise", a, sigma, row))),
  x0: diagonal(({ mixture, a, sigma, x }) => x.map((row) => network(mixture, "data", a, sigma, row))),
  ddim_step: ddimStep,
  multistep_step: (given) => (given.form === "taylor" ? multistepStep(given) : undefined),
  solve_ddim: solve,
  solve_multistep: (given) =>
    given.form === "taylor" && given.start === "lower" && !given.lower_end ? solve(given) : undefined,
};

const close = (got, want, { rtol, atol }) =>
  Array.isArray(want)
    ? got.length === want.length && want.every((entry, i) => close(got[i], entry, { rtol, atol }))
    : String(got).replace("Infinity", "inf") === String(want) || Math.abs(got - want) <= atol + rtol * Math.abs(want);

const count = { passed: 0, failed: 0, skipped: 0 };
for (const name of ["schedules", "formulas", "oracle", "steps", "trajectories", "negatives"]) {
  const file = JSON.parse(readFileSync(`${process.argv[2] ?? "."}/${name}.json`, "utf8"));
  if (file.format !== "dpmoracle.vectors" || file.version !== 1) throw new Error(`${name}.json: another version`);
  for (const { id, quantity, inputs, expected, tolerance, wrong } of file.vectors) {
    const got = mine[quantity]?.(inputs);
    const verdict = got === undefined ? "skipped" : close(got, expected, tolerance) === !wrong ? "passed" : "failed";
    count[verdict] += 1;
    if (verdict === "failed") console.log(`FAILED ${id}`, { got, [wrong ? "must not be" : "expected"]: expected });
  }
}
console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped (not implemented here)`);
process.exit(count.failed || !count.passed ? 1 : 0);
