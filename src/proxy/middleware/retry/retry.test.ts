import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FAILURES, type Failure } from "../../../model/failures.ts";
import { type FailedTry, isIdempotent, mayRepeatSilently, maySendAgain } from "./retry.ts";

const GET_REFUSED: FailedTry = {
  failure: "ConnectRefused",
  sent: false,
  idempotent: true,
  replayable: true,
};
const failures = Object.keys(FAILURES) as Failure[];

test("the idempotent methods are those of RFC 9110, in their exact case", () => {
  for (const method of ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]) expect(isIdempotent(method)).toBe(true);
  for (const method of ["POST", "PATCH", "CONNECT", "get", "QUERY", ""]) expect(isIdempotent(method)).toBe(false);
});

describe("maySendAgain", () => {
  const cases: [name: string, change: Partial<FailedTry>, expected: boolean][] = [
    ["a refused connection is tried again", {}, true],
    ["a connection that timed out is tried again", { failure: "ConnectTimeout" }, true],
    ["a POST that never left is tried again", { idempotent: false, replayable: false }, true],
    ["a GET cut off after it was sent is tried again", { failure: "UpstreamReset", sent: true }, true],
    ["a POST cut off after it was sent is not", { failure: "UpstreamReset", sent: true, idempotent: false }, false],
    ["a body that was not kept is not sent again", { failure: "UpstreamReset", sent: true, replayable: false }, false],
    ["an answer that began is final", { failure: "UpstreamReset", sent: true, answerBegun: true }, false],
    ["a malformed answer is final", { failure: "UpstreamMalformed", sent: true }, false],
    ["an empty service is final", { failure: "NoEndpoint" }, false],
    ["a GET whose try ran out of time is tried again", { failure: "ResponseTimeout", sent: true }, true],
    ["a POST whose try ran out of time is not", { failure: "ResponseTimeout", sent: true, idempotent: false }, false],
    ["what policy refused is final", { failure: "AccessDenied" }, false],
    ["a caller that left wants no other try", { failure: "ClientGone", sent: true }, false],
  ];
  test.each(cases)("%s", (_name, change, expected) => {
    expect(maySendAgain({ ...GET_REFUSED, ...change })).toBe(expected);
  });

  test("a POST whose first byte went out is never sent twice", () => {
    const anyPost = fc.record({
      failure: fc.constantFrom(...failures),
      sent: fc.constant(true),
      idempotent: fc.constant(isIdempotent("POST")),
      replayable: fc.boolean(),
      answerBegun: fc.boolean(),
    });
    fc.assert(fc.property(anyPost, (failed) => !maySendAgain(failed)));
    expect(mayRepeatSilently(isIdempotent("POST"), true)).toBe(false);
  });
});

test("a closed waiting connection is silently replaced only where nothing can happen twice", () => {
  expect(mayRepeatSilently(true, true)).toBe(true);
  expect(mayRepeatSilently(true, false)).toBe(false);
  expect(mayRepeatSilently(false, true)).toBe(false);
  expect(mayRepeatSilently(false, false, false)).toBe(true);
});
