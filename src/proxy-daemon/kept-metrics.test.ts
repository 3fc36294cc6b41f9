import { expect, test } from "vitest";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { single } from "../telemetry/exposition.ts";
import { KeptMetrics } from "./kept-metrics.ts";

const OPEN = "application/openmetrics-text";

function setUp() {
  const clock = new ManualClock();
  const made = { times: 0, fails: false };
  const kept = new KeptMetrics({
    clock,
    metrics: async () => {
      made.times++;
      if (made.fails) throw new Error("no figures");
      return [single("gauge", "g", "G.", made.times)];
    },
  });
  const value = async (accept = "") => (await kept.answer(accept)).body.toString().match(/^g (\d+)$/m)?.[1];
  return { clock, made, value };
}

test("who asks again within a second gets the same text, and then a new one", async () => {
  const { clock, value } = setUp();
  expect(await value()).toBe("1");
  clock.advance(999);
  expect(await value()).toBe("1");
  clock.advance(1);
  expect(await value()).toBe("2");
});

test("who asks while it is being made waits for the same", async () => {
  const { made, value } = setUp();
  expect(await Promise.all([value(), value(), value()])).toEqual(["1", "1", "1"]);
  expect(made.times).toBe(1);
});

test("each format is kept for itself", async () => {
  const { value } = setUp();
  expect([await value(), await value(OPEN), await value(), await value(OPEN)]).toEqual(["1", "2", "1", "2"]);
});

test("a failure is not kept", async () => {
  const { made, value } = setUp();
  made.fails = true;
  await expect(value()).rejects.toThrow("no figures");
  made.fails = false;
  expect(await value()).toBe("2");
});
