import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { ProxyTaps } from "./proxy-taps.ts";

let clock: ManualClock;
let said: string[];
let controller: AbortController;
/** Reads under way, by Pod: what ends them. */
let reading: Map<string, { end(): void; fail(message: string): void; signal: AbortSignal }>;
let taps: ProxyTaps;

beforeEach(() => {
  clock = new ManualClock();
  said = [];
  controller = new AbortController();
  reading = new Map();
  const note = (message: string) => said.push(message);
  taps = new ProxyTaps({
    namespace: "tulle",
    clock,
    log: { debug: note, info: note, warn: note, error: note },
    signal: controller.signal,
    read: (pod, signal) =>
      new Promise<void>((resolve, reject) => {
        const over = () => reading.delete(pod);
        const end = () => {
          over();
          resolve();
        };
        const fail = (message: string) => {
          over();
          reject(new Error(message));
        };
        reading.set(pod, { end, fail, signal });
        signal.addEventListener("abort", end);
      }),
  });
});
afterEach(() => controller.abort());

test("each proxy is read once, and no longer than it is there", async () => {
  taps.update(new Set(["a", "b"]));
  taps.update(new Set(["b", "c"]));
  await setImmediate();
  expect([...reading.keys()]).toEqual(["b", "c"]);
  expect(said).toEqual(["looking at 2 proxies in namespace tulle"]);
  taps.update(new Set());
  expect(said[1]).toBe("there is no proxy in namespace tulle");
});

test("a proxy that breaks off is asked again after a second, and why is said once", async () => {
  taps.update(new Set(["a"]));
  for (const why of ["refused", "refused", "gone"]) {
    reading.get("a")?.fail(why);
    await setImmediate();
    expect(reading.has("a")).toBe(false);
    clock.advance(1_000);
    await setImmediate();
    expect(reading.has("a")).toBe(true);
  }
  expect(said.slice(1)).toEqual([
    "a cannot be looked at, it is tried again: refused",
    "a cannot be looked at, it is tried again: gone",
  ]);
});

test("nothing is left of it when it is over", async () => {
  taps.update(new Set(["a", "b"]));
  reading.get("b")?.fail("refused");
  await setImmediate();
  controller.abort();
  await setImmediate();
  expect([reading.size, clock.pending]).toEqual([0, 0]);
});
