/**
 * The properties over generated clusters. `npm test` runs a bounded number of cases of each, with a seed of its own
 * each time; `npm run fuzz -- --minutes N` goes on for so long. A case that fails is printed with its seed.
 */
import fc from "fast-check";
import { describe, test } from "vitest";
import { PROPERTIES } from "./properties.ts";

const RUNS = 150;
/** Between two looks at the clock. */
const BATCH = 200;
const minutes = Number(process.env["TULLE_FUZZ_MINUTES"] ?? 0);
const seed = process.env["TULLE_FUZZ_SEED"];

describe.each(Object.entries(PROPERTIES))("%s", (name, property) => {
  test.runIf(minutes === 0)("in some clusters", () => {
    fc.assert(property, { numRuns: RUNS, ...(seed === undefined ? {} : { seed: Number(seed) }) });
  });

  test.runIf(minutes > 0)("in as many as there is time for", { timeout: 0 }, () => {
    const until = Date.now() + (minutes * 60_000) / Object.keys(PROPERTIES).length;
    const first = seed === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(seed);
    let cases = 0;
    while (Date.now() < until) {
      fc.assert(property, { numRuns: BATCH, seed: first + cases / BATCH });
      cases += BATCH;
    }
    console.log(`${name}: ${cases} cases, seeds from ${first} to ${first + cases / BATCH - 1}`);
  });
});
