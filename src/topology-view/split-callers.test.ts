import { expect, test } from "vitest";
import { SplitCallers } from "./split-callers.ts";

const NOBODY: ReadonlySet<string> = new Set();

test("splits of splits that meet again are gone through once, not by every way to them", () => {
  const [levels, width] = [8, 8];
  const splits = Object.fromEntries(
    Array.from({ length: (levels - 1) * width }, (_, number) => {
      const [level, index] = [Math.floor(number / width), number % width];
      const backends = Array.from({ length: width }, (_, next) => ({ weight: 1, service: `s${level + 1}-${next}@n` }));
      return [`split${number}@n`, { service: `s${level}-${index}@n`, backends }];
    }),
  );
  let asked = 0;
  const callers = new SplitCallers(splits, new Set(Object.keys(splits)), (service) => {
    if (++asked > 1_000) throw new Error("more than 1000 questions");
    return new Set(service === "s7-0@n" ? ["a", "b"] : ["b", "c"]);
  });
  for (const key of Object.keys(splits)) expect([...callers.of(key)]).toEqual(["b"]);
});

test("a split that leads back to itself ends", () => {
  const splits = {
    "one@n": { service: "s1@n", backends: [{ weight: 1, service: "s2@n" }] },
    "two@n": { service: "s2@n", backends: [{ weight: 1, service: "s1@n" }] },
  };
  const callers = new SplitCallers(splits, new Set(Object.keys(splits)), () => NOBODY);
  expect([...callers.of("one@n")]).toEqual([]);
});
