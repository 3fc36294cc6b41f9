import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { coresOfQuota, usableCores } from "./usable-cores.ts";

test.each([
  ["200000 100000\n", 2],
  ["150000 100000\n", 2],
  ["50000 100000\n", 1],
  ["max 100000\n", Number.POSITIVE_INFINITY],
  ["", Number.POSITIVE_INFINITY],
  ["what is this", Number.POSITIVE_INFINITY],
])("a quota of %j is so many cores", (text, cores) => {
  expect(coresOfQuota(text)).toBe(cores);
});

test("without a container's limit, the cores are those of the process", async () => {
  expect(await usableCores("/nonexistent")).toBe(availableParallelism());
});
