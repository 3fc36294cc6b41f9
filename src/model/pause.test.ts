import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { pause } from "./pause.ts";
import { ManualClock } from "./testkit/manual-clock.ts";

test("a pause ends when its time has come, and leaves nothing at the signal", async () => {
  const clock = new ManualClock();
  const { signal } = new AbortController();
  const paused = pause(clock, 100, signal);
  clock.advance(100);
  await paused;
  expect([getEventListeners(signal, "abort").length, clock.pending]).toEqual([0, 0]);
});

test("a pause ends when the signal aborts, and leaves no timer", async () => {
  const clock = new ManualClock();
  const controller = new AbortController();
  const paused = pause(clock, 100, controller.signal);
  controller.abort();
  await paused;
  await pause(clock, 100, controller.signal);
  expect(clock.pending).toBe(0);
});
