import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Ejection as Settings } from "../../config/mesh-config.ts";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { Ejection } from "./ejection.ts";
import { type Endpoint, endpoints } from "./testkit/balancer-suite.ts";

function ejectionOf(list: readonly Endpoint[], settings?: Settings) {
  const clock = new ManualClock();
  const told: string[] = [];
  const ejection = new Ejection<Endpoint>(clock, ({ id }, ms) => told.push(`${id} for ${ms / 1000} s`));
  ejection.change(list, settings);
  return { clock, ejection, told };
}

/** So often in a row. */
function fail(ejection: Ejection<Endpoint>, endpoint: Endpoint, times: number): void {
  for (let failure = 0; failure < times; failure++) ejection.failed(endpoint, "ConnectRefused");
}

describe("without settings", () => {
  test("five connections in a row that could not be made eject an endpoint", () => {
    const list = endpoints(2) as [Endpoint, Endpoint];
    const { ejection, told } = ejectionOf(list);
    fail(ejection, list[0], 4);
    ejection.answered(list[0], 503);
    fail(ejection, list[0], 4);
    expect(list[0].ejected).toBe(false);
    fail(ejection, list[0], 1);
    expect(list.map(({ ejected }) => ejected)).toEqual([true, false]);
    expect(told).toEqual(["0 for 10 s"]);
  });

  test("answers and broken connections eject nobody", () => {
    const list = endpoints(2) as [Endpoint, Endpoint];
    const { ejection } = ejectionOf(list);
    for (let failure = 0; failure < 20; failure++) {
      ejection.failed(list[0], "UpstreamReset");
      ejection.failed(list[0], "ResponseTimeout");
      ejection.answered(list[0], 502);
    }
    expect(ejection.count).toBe(0);
  });
});

test("with a number of failures, each of their kinds counts: 502 to 504 too, and no other status", () => {
  const list = endpoints(2) as [Endpoint, Endpoint];
  const { ejection } = ejectionOf(list, { failures: 4 });
  ejection.failed(list[0], "UpstreamReset");
  ejection.failed(list[0], "ResponseTimeout");
  ejection.answered(list[0], 503);
  ejection.answered(list[1], 500);
  expect(list[0].ejected).toBe(false);
  ejection.failed(list[0], "ConnectTimeout");
  expect(list.map(({ ejected, failures }) => [ejected, failures])).toEqual([
    [true, 4],
    [false, 0],
  ]);
});

test("off means nobody is ejected, and who was comes back", () => {
  const list = endpoints(2) as [Endpoint, Endpoint];
  const { ejection } = ejectionOf(list);
  fail(ejection, list[0], 5);
  ejection.change(list, { failures: 0 });
  fail(ejection, list[1], 100);
  expect(list.map(({ ejected }) => ejected)).toEqual([false, false]);
});

test("who comes back is ejected for longer by its first failure, and cleared by its first success", () => {
  const list = endpoints(2) as [Endpoint, Endpoint];
  const { clock, ejection, told } = ejectionOf(list);
  fail(ejection, list[0], 5);
  for (let round = 0; round < 4; round++) {
    clock.advance(60_000);
    ejection.readmit(clock.now());
    fail(ejection, list[0], 1);
  }
  expect(told).toEqual(["0 for 10 s", "0 for 20 s", "0 for 40 s", "0 for 60 s", "0 for 60 s"]);
  clock.advance(60_000);
  ejection.readmit(clock.now());
  ejection.answered(list[0], 200);
  fail(ejection, list[0], 4);
  expect(list[0].ejected).toBe(false);
  fail(ejection, list[0], 1);
  expect(told.at(-1)).toBe("0 for 10 s");
});

test("an answer that was under way does not bring an ejected endpoint back", () => {
  const list = endpoints(2) as [Endpoint, Endpoint];
  const { ejection } = ejectionOf(list);
  fail(ejection, list[0], 5);
  ejection.answered(list[0], 200);
  expect([list[0].ejected, list[0].failures]).toEqual([true, 5]);
});

test("the only endpoint is never ejected", () => {
  const list = endpoints(1) as [Endpoint];
  const { ejection } = ejectionOf(list, { ceilingPercent: 100 });
  fail(ejection, list[0], 100);
  expect(ejection.count).toBe(0);
});

test("whatever fails, comes and goes, the ceiling holds", () => {
  const anyStep = fc.oneof(
    fc.record({ type: fc.constant("fail" as const), id: fc.nat(9), times: fc.nat(6) }),
    fc.record({ type: fc.constant("answer" as const), id: fc.nat(9) }),
    fc.record({ type: fc.constant("wait" as const), ms: fc.nat(70_000) }),
    fc.record({ type: fc.constant("members" as const), first: fc.nat(9), count: fc.nat(10) }),
    fc.record({ type: fc.constant("ceiling" as const), percent: fc.integer({ min: 1, max: 100 }) }),
  );
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 80 }), (steps) => {
      const all = endpoints(20);
      let members = all.slice(0, 10);
      let ceilingPercent = 50;
      const { clock, ejection } = ejectionOf(members, { failures: 2, ceilingPercent });
      for (const step of steps) {
        if (step.type === "wait") {
          clock.advance(step.ms);
          ejection.readmit(clock.now());
        } else if (step.type === "members" || step.type === "ceiling") {
          if (step.type === "members") members = all.slice(step.first, step.first + step.count);
          else ceilingPercent = step.percent;
          for (const endpoint of all) endpoint.removed = !members.includes(endpoint);
          ejection.change(members, { failures: 2, ceilingPercent });
        } else {
          const endpoint = members[step.id];
          if (endpoint === undefined) continue;
          if (step.type === "answer") ejection.answered(endpoint, 200);
          else fail(ejection, endpoint, step.times);
        }
        const ejected = members.filter((endpoint) => endpoint.ejected).length;
        expect(ejected).toBe(ejection.count);
        expect(ejected).toBeLessThanOrEqual(Math.floor((members.length * ceilingPercent) / 100));
        if (members.length > 0) expect(ejected).toBeLessThan(members.length);
      }
    }),
  );
});
