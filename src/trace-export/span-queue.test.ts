import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import type { Span } from "../proxy/tracing/span.ts";
import { GATHER_MS, MAX_BATCH, MAX_WAITING, SpanQueue } from "./span-queue.ts";
import type { SendOutcome, SpanSender } from "./span-sender.ts";
import { pending } from "./testkit/pending.ts";

const TAKEN: SendOutcome = { taken: true, refused: 0 };
const DOWN: SendOutcome = { taken: false, reason: "no", again: true };

/** A collector whose answers are the test's. */
class Scripted implements SpanSender {
  /** Of what was taken and of what was not, in the order in which it came. */
  readonly sizes: number[] = [];
  readonly taken: string[] = [];
  outcome: SendOutcome | undefined = TAKEN;
  isClosed = false;
  #answer: ((outcome: SendOutcome) => void) | undefined;

  send(spans: readonly Span[]): Promise<SendOutcome> {
    this.sizes.push(spans.length);
    if (this.outcome?.taken) this.taken.push(...spans.map(({ spanId }) => spanId));
    if (this.outcome !== undefined) return Promise.resolve(this.outcome);
    return new Promise((resolve) => {
      this.#answer = resolve;
    });
  }

  answer(outcome: SendOutcome): void {
    this.#answer?.(outcome);
  }

  close(): void {
    this.isClosed = true;
  }
}

function start() {
  const clock = new ManualClock();
  const sender = new Scripted();
  const lines: string[] = [];
  const note = (text: string, fields?: object) => void lines.push(`${text} ${JSON.stringify(fields)}`);
  const log = { debug: note, info: note, warn: note, error: note };
  const queue = new SpanQueue({ sender, collector: "c", clock, log });
  let added = 0;
  const add = (count: number) => {
    for (let each = 0; each < count; each++) queue.add(pending({ spanId: String(added++) } as Span));
  };
  const advance = async (ms: number) => {
    clock.advance(ms);
    await setImmediate();
  };
  return { clock, sender, lines, queue, add, advance };
}

describe("spans", () => {
  test("go on after a collector that was away comes back with a refusal", async () => {
    const { clock, sender, add, advance, queue } = start();
    sender.outcome = DOWN;
    add(1);
    await advance(GATHER_MS);
    sender.outcome = { taken: false, reason: "404", again: false };
    while (queue.dropped === 0) await advance(1_000);
    sender.outcome = TAKEN;
    add(2);
    await advance(GATHER_MS);
    expect([queue.sent, queue.dropped, clock.now() > 0]).toEqual([2, 1, true]);
  });

  test("wait a second for others, and leave at once when there are enough for a piece", async () => {
    const { sender, add, advance } = start();
    add(3);
    await advance(GATHER_MS - 1);
    expect(sender.sizes).toEqual([]);
    await advance(1);
    expect(sender.sizes).toEqual([3]);
    add(MAX_BATCH + 1);
    await advance(0);
    expect(sender.sizes).toEqual([3, MAX_BATCH]);
    await advance(GATHER_MS);
    expect(sender.sizes).toEqual([3, MAX_BATCH, 1]);
  });

  test("leave one piece after another, never two at once", async () => {
    const { sender, add, advance } = start();
    sender.outcome = undefined;
    add(MAX_BATCH * 3);
    await advance(GATHER_MS * 9);
    expect(sender.sizes).toEqual([MAX_BATCH]);
    sender.answer(TAKEN);
    await advance(0);
    await advance(0);
    expect(sender.sizes).toEqual([MAX_BATCH, MAX_BATCH]);
  });

  test("are dropped and counted beyond the room for them, oldest kept", async () => {
    const { queue, sender, add, advance } = start();
    sender.outcome = DOWN;
    add(MAX_WAITING + 10);
    await advance(0);
    add(5);
    expect([queue.dropped, queue.sent]).toEqual([15, 0]);
    sender.outcome = TAKEN;
    for (let step = 0; step < 100; step++) await advance(GATHER_MS);
    expect(queue.sent).toBe(MAX_WAITING);
    expect(sender.taken).toEqual(Array.from({ length: MAX_WAITING }, (_, index) => String(index)));
  });
});

describe("spans of one exchange", () => {
  const three = ["a", "b", "c"].map((spanId) => ({ spanId }) as Span);

  test("are written with those of others, at the latest when there are enough for a piece", async () => {
    const { sender, queue, add, advance } = start();
    let written = 0;
    const write = () => {
      written++;
      return three;
    };
    sender.outcome = DOWN;
    add(1);
    await advance(GATHER_MS);
    for (let count = 3; count < MAX_BATCH; count += 3) queue.add({ count: 3, write });
    expect(written).toBe(0);
    // Not even a collector that is away makes them hold on to what they are written from.
    queue.add({ count: 3, write });
    expect(written).toBe(Math.ceil(MAX_BATCH / 3));
  });

  test("are kept or dropped as a whole", () => {
    const { queue, add } = start();
    add(MAX_WAITING - 2);
    queue.add(pending(...three));
    expect(queue.dropped).toBe(3);
    queue.add(pending(...three.slice(0, 2)));
    expect(queue.dropped).toBe(3);
  });

  test("count as lost where they are not written when it closes", async () => {
    const { sender, queue, clock } = start();
    sender.outcome = undefined;
    queue.add(pending(...three));
    clock.advance(GATHER_MS);
    queue.add(pending(...three));
    const closed = queue.close(1);
    clock.advance(1);
    await closed;
    expect(queue.dropped).toBe(6);
  });
});

describe("a collector that is there", () => {
  test("and does not keep up is said once, and how many were dropped once it does, or at the end", async () => {
    const { queue, sender, lines, add, advance } = start();
    sender.outcome = undefined;
    add(MAX_BATCH);
    await advance(0);
    add(MAX_WAITING - MAX_BATCH + 3);
    sender.answer(TAKEN);
    await advance(0);
    add(MAX_BATCH + 4);
    expect(queue.dropped).toBe(7);
    expect(lines).toEqual([expect.stringMatching(/^spans come faster than the collector takes them/)]);
    sender.outcome = TAKEN;
    sender.answer(TAKEN);
    for (let step = 0; step < 40; step++) await advance(GATHER_MS);
    expect(lines.slice(1)).toEqual([expect.stringMatching(/^the collector keeps up again .*"dropped":7/)]);
    sender.outcome = undefined;
    add(MAX_BATCH);
    await advance(0);
    add(MAX_WAITING - MAX_BATCH + 1);
    const closed = queue.close(1000);
    await advance(1000);
    await closed;
    expect(lines.slice(2)).toEqual([
      expect.stringMatching(/^spans come faster/),
      expect.stringMatching(new RegExp(`^spans were lost .*"dropped":${MAX_WAITING + 1}}`)),
    ]);
  });

  test("and takes a part of what it gets is said once, and how many were lost at the end", async () => {
    const { queue, sender, lines, add, advance } = start();
    sender.outcome = { taken: true, refused: 2 };
    for (let count = 0; count < 3; count++) {
      add(5);
      await advance(GATHER_MS);
    }
    expect([queue.sent, queue.dropped]).toEqual([9, 6]);
    expect(lines).toEqual([expect.stringMatching(/^the collector refuses spans.*"reason":"it would not have 2 of 5"/)]);
    sender.outcome = TAKEN;
    add(1);
    const closed = queue.close(1000);
    await advance(0);
    await advance(0);
    await closed;
    expect(lines.slice(1)).toEqual([expect.stringMatching(/^spans were lost .*"dropped":6/)]);
  });
});

describe("a collector that is gone", () => {
  test("is asked again after 1, 2, 4 … 30 s, said once, and said once more when it is back", async () => {
    const { sender, lines, add, advance } = start();
    sender.outcome = DOWN;
    add(1);
    await advance(GATHER_MS);
    for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
      const before = sender.sizes.length;
      await advance(seconds * 1000 - 1);
      expect(sender.sizes).toHaveLength(before);
      await advance(1);
      expect(sender.sizes).toHaveLength(before + 1);
    }
    expect(lines).toEqual([expect.stringMatching(/^spans cannot be sent.*"reason":"no"/)]);
    sender.outcome = TAKEN;
    await advance(30_000);
    expect(lines.slice(1)).toEqual([expect.stringMatching(/^spans can be sent again .*"dropped":0/)]);
    add(1);
    await advance(GATHER_MS);
    expect(sender.taken).toEqual(["0", "1"]);
  });

  test("that says when to come again is asked then, and within half a minute", async () => {
    const { sender, add, advance } = start();
    sender.outcome = { ...DOWN, afterMs: 7_000 };
    add(1);
    await advance(GATHER_MS);
    await advance(6_999);
    expect(sender.sizes).toHaveLength(1);
    await advance(1);
    expect(sender.sizes).toHaveLength(2);
    sender.outcome = { ...DOWN, afterMs: 3_600_000 };
    await advance(7_000);
    await advance(30_000);
    expect(sender.sizes).toHaveLength(4);
  });
});

describe("at the end", () => {
  test("what waits is sent", async () => {
    const { queue, sender, add, clock } = start();
    add(MAX_BATCH + 2);
    const closed = queue.close(1000);
    for (let step = 0; step < 4; step++) {
      clock.advance(0);
      await setImmediate();
    }
    await closed;
    expect([sender.sizes, queue.dropped, sender.isClosed]).toEqual([[MAX_BATCH, 2], 0, true]);
    expect(clock.pending).toBe(0);
    add(1);
    expect(queue.dropped).toBe(1);
  });

  test("a collector that is silent or gone holds nobody up, and what is lost is said", async () => {
    for (const outcome of [undefined, DOWN]) {
      const { queue, sender, lines, add, advance, clock } = start();
      sender.outcome = outcome;
      add(2);
      const closed = queue.close(1000);
      await advance(999);
      expect(sender.isClosed).toBe(false);
      await advance(1);
      await closed;
      expect([queue.dropped, sender.isClosed, clock.pending]).toEqual([2, true, 0]);
      expect(lines.at(-1)).toMatch(/^spans were lost .*"dropped":2/);
    }
  });
});
