import { describe, expect, test } from "vitest";
import { type AccessLogSettings, DEFAULT_ACCESS_LOG } from "./access-log-settings.ts";
import { CallFilter } from "./call-filter.ts";
import { exchangeRecord, flowRecord } from "./testkit/records.ts";

const takes = (settings: Partial<AccessLogSettings>, record: Parameters<CallFilter["takes"]>[0], random = 0.5) =>
  new CallFilter({ ...DEFAULT_ACCESS_LOG, ...settings }, () => random).takes(record);

const server: Partial<AccessLogSettings> = {
  statuses: [
    [404, 404],
    [500, 599],
  ],
};

test("without conditions every call is taken", () => {
  expect(takes({}, exchangeRecord())).toBe(true);
  expect(takes({}, flowRecord())).toBe(true);
});

describe("with conditions, one is enough", () => {
  test.each([
    [403, false],
    [404, true],
    [405, false],
    [499, false],
    [500, true],
    [599, true],
  ])("status %d: %s", (status, taken) => expect(takes(server, exchangeRecord({ status }))).toBe(taken));

  test("a call that took long enough is taken, of whatever kind", () => {
    expect(takes({ ...server, minDurationMs: 100 }, exchangeRecord({ durationMs: 100 }))).toBe(true);
    expect(takes({ ...server, minDurationMs: 100 }, exchangeRecord({ durationMs: 99 }))).toBe(false);
    expect(takes({ ...server, minDurationMs: 100 }, flowRecord({ durationMs: 100 }))).toBe(true);
    expect(takes({ minDurationMs: 0 }, exchangeRecord())).toBe(true);
  });

  test("a call that was tried again is taken", () => {
    expect(takes({ retried: true }, exchangeRecord({ attempts: 2 }))).toBe(true);
    expect(takes({ retried: true }, exchangeRecord({ attempts: 1 }))).toBe(false);
    expect(takes({ retried: true }, flowRecord())).toBe(false);
  });
});

test("sampling takes its share of what fits", () => {
  expect(takes({ sampling: 0.25 }, exchangeRecord(), 0.249)).toBe(true);
  expect(takes({ sampling: 0.25 }, exchangeRecord(), 0.25)).toBe(false);
  expect(takes({ sampling: 0 }, exchangeRecord(), 0)).toBe(false);
  expect(takes({ sampling: 1 }, exchangeRecord(), 0.999)).toBe(true);
});

test("what failed is taken, whatever conditions and sampling say", () => {
  expect(takes({ ...server, sampling: 0 }, exchangeRecord({ failure: "AccessDenied", status: 403 }))).toBe(true);
  expect(takes({ ...server, sampling: 0 }, flowRecord({ failure: "NoEndpoint" }))).toBe(true);
});
