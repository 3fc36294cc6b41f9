import { beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import type { TapFilter } from "../../tap/tap-filter.ts";
import { exchangeRecord } from "../access-log/testkit/records.ts";
import { TapStream } from "./tap-stream.ts";
import { Taps } from "./taps.ts";

let clock: ManualClock;
let taps: Taps;
beforeEach(() => {
  clock = new ManualClock();
  taps = new Taps(clock, { host: false, requestFields: [] });
});

/** A reader that takes everything until it is told to rest. */
class Reader {
  readonly got: string[] = [];
  rests = false;
  ended = false;

  write(text: string): boolean {
    if (!this.rests) this.got.push(text);
    return !this.rests;
  }

  end(): void {
    this.ended = true;
  }
}

function open(filter: Partial<TapFilter> = {}, form: "lines" | "events" = "lines") {
  const whole = { maxRate: 100, ...filter };
  const reader = new Reader();
  const stream = new TapStream(whole, form, clock, reader);
  stream.start(taps.openTap(whole, stream));
  return { reader, stream };
}

const statusesOf = ({ got }: Reader) => got.map((line) => (JSON.parse(line) as { status?: number }).status);
const noteAll = (...statuses: number[]) => {
  for (const status of statuses) taps.note(exchangeRecord({ status }));
};

test("each tap shows the calls that fit it, as the access log would", () => {
  const all = open().reader;
  const errors = open({ statuses: [[500, 599]] }).reader;
  noteAll(200, 503);
  expect(statusesOf(all)).toEqual([200, 503]);
  expect(statusesOf(errors)).toEqual([503]);
  expect(JSON.parse(all.got[0] ?? "")).toMatchObject({ kind: "http", service: "shop/web:80", path: "/cart" });
});

test("events are as browsers read them", () => {
  const { reader } = open({}, "events");
  noteAll(200);
  expect(reader.got[0]).toMatch(/^data: {.*}\n\n$/);
});

test("a tap that is closed shows nothing more, and the records need no more for it", () => {
  const { reader, stream } = open();
  expect([taps.tapCount, taps.wants.host]).toEqual([1, true]);
  stream.stop();
  stream.stop();
  noteAll(200);
  expect([taps.tapCount, taps.wants.host]).toEqual([0, false]);
  expect(reader.got).toEqual([]);
});

test("what others want of records stays wanted", () => {
  const others = new Taps(clock, { host: true, requestFields: ["user-agent"] });
  others.openTap({ maxRate: 1 }, { onCall() {}, onLost() {} }).close();
  expect(others.wants).toEqual({ host: true, requestFields: ["user-agent"] });
});

test("a tap ends by itself after the calls that it was asked for", () => {
  const { reader } = open({ count: 2 });
  noteAll(200, 201, 202);
  expect(statusesOf(reader)).toEqual([200, 201]);
  expect([reader.ended, taps.tapCount]).toEqual([true, 0]);
});

describe("what is left out is counted and said", () => {
  test("of more calls than a tap shows in a second", () => {
    const { reader } = open({ maxRate: 2 });
    noteAll(200, 201, 202, 203, 204);
    expect(statusesOf(reader)).toEqual([200, 201]);
    clock.advance(1_000);
    expect(reader.got.slice(2)).toEqual(['{"kind":"lost","calls":3}\n']);
    noteAll(205);
    expect(statusesOf(reader).slice(3)).toEqual([205]);
  });

  test("of a reader that is slow, as soon as it takes more", () => {
    const { reader } = open();
    reader.rests = true;
    noteAll(200, 201);
    clock.advance(3_000);
    reader.rests = false;
    clock.advance(1_000);
    expect(reader.got).toEqual(['{"kind":"lost","calls":2}\n']);
    noteAll(202);
    clock.advance(5_000);
    expect(reader.got).toHaveLength(2);
  });

  test("also before a tap ends by itself", () => {
    const { reader } = open({ count: 2 });
    noteAll(200);
    reader.rests = true;
    noteAll(201);
    reader.rests = false;
    noteAll(202);
    expect(reader.got.slice(1).map((line) => JSON.parse(line) as object)).toMatchObject([
      { status: 202 },
      { kind: "lost", calls: 1 },
    ]);
    expect(clock.pending).toBe(0);
  });
});
