/**
 * The properties over generated clusters, for as long as there is time: ten seconds in `npm test`, and with
 * `npm run fuzz -- --minutes N` so long. Each run has seeds of its own, which it prints; `--seed` begins at one of them.
 */
import fc from "fast-check";
import { describe, test } from "vitest";
import { PROPERTIES } from "./properties.ts";

const SECONDS_OF_TESTS = 10;
/** Cases of one seed: between two looks at the clock. */
const BATCH = 25;
const minutes = Number(process.env["TULLE_FUZZ_MINUTES"] ?? SECONDS_OF_TESTS / 60);
const seed = process.env["TULLE_FUZZ_SEED"];

describe.each(Object.entries(PROPERTIES))("%s", (name, property) => {
  // What fails is made smaller, which takes a while.
  test("in as many clusters as there is time for", { timeout: minutes * 60_000 + 120_000 }, () => {
    const until = Date.now() + (minutes * 60_000) / Object.keys(PROPERTIES).length;
    const first = seed === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(seed);
    let batches = 0;
    do fc.assert(property, { numRuns: BATCH, seed: first + batches++ });
    while (Date.now() < until);
    console.log(`${name}: ${batches * BATCH} cases, seeds ${first} to ${first + batches - 1}`);
  });
});
