import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConnectionLimit, type ConnectionWaiter, DEFAULT_MAX_PENDING } from "./connection-limit.ts";

/** Takes one connection when it is its turn and there is one. */
class Taker implements ConnectionWaiter {
  readonly limit: ConnectionLimit;
  has = false;
  refused = false;

  constructor(limit: ConnectionLimit) {
    this.limit = limit;
  }

  ask(first = false): void {
    if (!this.limit.full) {
      this.limit.opened();
      this.has = true;
    } else this.refused = !this.limit.enqueue(this, first);
  }

  onTurn(): void {
    this.ask(true);
  }
}

test("without a limit it is never full", () => {
  const limit = new ConnectionLimit();
  for (let index = 0; index < 10_000; index++) limit.opened();
  expect(limit.full).toBe(false);
});

test("the bound of those who wait is 1,024 where none is given", () => {
  const limit = new ConnectionLimit();
  limit.change({ maxConnections: 1 });
  limit.opened();
  const waiter = { onTurn() {} };
  for (let index = 0; index < DEFAULT_MAX_PENDING; index++) expect(limit.enqueue(waiter, false)).toBe(true);
  expect(limit.enqueue(waiter, false)).toBe(false);
});

test("who waits comes in turn, and who finds nothing stays the first", () => {
  const limit = new ConnectionLimit();
  limit.change({ maxConnections: 1, maxPending: 2 });
  const takers = Array.from({ length: 4 }, () => new Taker(limit));
  for (const taker of takers) taker.ask();
  expect(takers.map(({ refused }) => refused)).toEqual([false, false, false, true]);
  // Something became free that is of no use to it.
  limit.freed();
  expect(takers.map(({ has }) => has)).toEqual([true, false, false, false]);
  limit.closed();
  expect(takers.map(({ has }) => has)).toEqual([true, true, false, false]);
  expect(limit.waiting).toBe(1);
});

test("one that serves many gives all of them their turn", () => {
  const limit = new ConnectionLimit();
  limit.change({ maxConnections: 1 });
  limit.opened();
  let turns = 0;
  for (let index = 0; index < 5; index++) limit.enqueue({ onTurn: () => turns++ }, false);
  limit.freed();
  expect(turns).toBe(5);
});

test("who has left has no turn", () => {
  const limit = new ConnectionLimit();
  limit.change({ maxConnections: 1 });
  const [holder, gone, next] = [new Taker(limit), new Taker(limit), new Taker(limit)];
  for (const taker of [holder, gone, next]) taker.ask();
  limit.leave(gone);
  limit.closed();
  expect([gone.has, next.has]).toEqual([false, true]);
});

describe("whatever comes and goes", () => {
  test("neither limit is ever exceeded, and nobody waits while there is room", () => {
    const anySteps = fc.array(fc.constantFrom("ask", "close", "leave", "freed"), { maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.nat(5), anySteps, (maxConnections, maxPending, steps) => {
        const limit = new ConnectionLimit();
        limit.change({ maxConnections, maxPending });
        const waiting: Taker[] = [];
        for (const step of steps) {
          if (step === "ask") {
            const taker = new Taker(limit);
            taker.ask();
            if (!taker.has && !taker.refused) waiting.push(taker);
          } else if (step === "close" && limit.open > 0) limit.closed();
          else if (step === "leave") limit.leave(waiting.shift() ?? new Taker(limit));
          else if (step === "freed") limit.freed();
          expect(limit.open).toBeLessThanOrEqual(maxConnections);
          expect(limit.waiting).toBeLessThanOrEqual(maxPending);
          if (limit.waiting > 0) expect(limit.full).toBe(true);
        }
      }),
    );
  });
});
