import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { PeakEwma } from "./peak-ewma.ts";
import { balancerSuite, type Endpoint, endpoints, seededRandom } from "./testkit/balancer-suite.ts";
import { UpstreamBalancer } from "./upstream-balancer.ts";

balancerSuite("PeakEwma", (parts, random) => {
  const clock = new ManualClock();
  const balancer = new UpstreamBalancer<Endpoint>({ clock, random }, new PeakEwma(clock, random));
  const list = endpoints(parts);
  return () => balancer.pick(list)?.id ?? -1;
});

function pair() {
  const clock = new ManualClock();
  const ewma = new PeakEwma<Endpoint>(clock, seededRandom(1));
  const [a, b] = endpoints(2) as [Endpoint, Endpoint];
  return { clock, ewma, a, b, choose: () => ewma.choose([a, b]) };
}

describe("of two endpoints with as much to do", () => {
  test("the quicker is chosen", () => {
    const { ewma, a, b, choose } = pair();
    ewma.answered(a, 20);
    ewma.answered(b, 10);
    expect(choose()).toBe(b);
  });

  test("one slow answer is enough to prefer the other, and quick ones win it back by and by", () => {
    const { clock, ewma, a, b, choose } = pair();
    ewma.answered(a, 10);
    ewma.answered(b, 15);
    expect(choose()).toBe(a);
    ewma.answered(a, 500);
    expect(choose()).toBe(b);
    let seconds = 0;
    for (; choose() === b && seconds < 1000; seconds++) {
      clock.advance(1_000);
      ewma.answered(a, 10);
      ewma.answered(b, 15);
    }
    expect(seconds).toBeGreaterThan(5);
    expect(seconds).toBeLessThan(100);
  });

  test("one that failed is the slower one, however quick it was to fail", () => {
    const { ewma, a, b, choose } = pair();
    ewma.answered(b, 1_000);
    ewma.failed(a);
    expect(choose()).toBe(b);
  });

  test("one that nothing was heard of for long is tried again", () => {
    const { clock, ewma, a, b, choose } = pair();
    ewma.answered(a, 5_000);
    for (let second = 0; second < 120; second++) {
      clock.advance(1_000);
      ewma.answered(b, 10);
    }
    expect(choose()).toBe(a);
  });
});

test("a quick endpoint may have more to do, in proportion", () => {
  const { ewma, a, b, choose } = pair();
  ewma.answered(a, 10);
  ewma.answered(b, 50);
  a.outstanding = 3;
  expect(choose()).toBe(a);
  a.outstanding = 5;
  expect(choose()).toBe(b);
});

test("an endpoint that is yet to answer gets one call at a time", () => {
  const { ewma, a, b, choose } = pair();
  ewma.answered(a, 2_000);
  expect(choose()).toBe(b);
  b.outstanding = 1;
  expect(choose()).toBe(a);
});

test("what is known stays between the least and the greatest that was measured, fading apart", () => {
  const anyAnswer = fc.record({ afterMs: fc.nat(30_000), latencyMs: fc.nat(10_000) });
  fc.assert(
    fc.property(fc.array(anyAnswer, { minLength: 1, maxLength: 50 }), (answers) => {
      const { clock, ewma, a } = pair();
      for (const { afterMs, latencyMs } of answers) {
        clock.advance(afterMs);
        ewma.answered(a, latencyMs);
        // The peak counts at once.
        expect(a.latencyMs).toBeGreaterThanOrEqual(latencyMs);
      }
      const latencies = answers.map(({ latencyMs }) => latencyMs);
      expect(a.latencyMs).toBeLessThanOrEqual(Math.max(...latencies) + 1e-9);
    }),
  );
});

test("over time, calls go to endpoints about as their speed allows", () => {
  const clock = new ManualClock();
  const random = seededRandom(11);
  const ewma = new PeakEwma<Endpoint>(clock, random);
  const balancer = new UpstreamBalancer<Endpoint>({ clock, random }, ewma);
  const list = endpoints(2) as [Endpoint, Endpoint];
  const speeds = [10, 40];
  const underWay: { endpoint: Endpoint; endsAt: number; startedAt: number }[] = [];
  const counts = [0, 0];
  for (let ms = 0; ms < 20_000; ms++) {
    clock.advance(1);
    const now = clock.now();
    for (const each of underWay.filter(({ endsAt }) => endsAt <= now)) {
      underWay.splice(underWay.indexOf(each), 1);
      each.endpoint.outstanding--;
      ewma.answered(each.endpoint, now - each.startedAt);
    }
    if (ms % 2 !== 0) continue;
    const endpoint = balancer.pick(list) as Endpoint;
    endpoint.outstanding++;
    counts[endpoint.id] = (counts[endpoint.id] as number) + 1;
    underWay.push({ endpoint, startedAt: now, endsAt: now + (speeds[endpoint.id] as number) });
  }
  // One that takes four times as long gets far less than half, and is not starved.
  expect((counts[1] as number) / (counts[0] as number)).toBeGreaterThan(0.02);
  expect((counts[1] as number) / (counts[0] as number)).toBeLessThan(0.4);
});
