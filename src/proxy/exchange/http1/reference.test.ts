/** The proxy, on sockets, against a reader of HTTP/1.1 of another make, with messages that are generated and mutated. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cutAt, cutPoints, goodAnswer, goodRequest, mutated } from "./testkit/generators.ts";
import { Lanes, NEXT, NEXT_FORWARDED, type Outcome } from "./testkit/lanes.ts";
import { referenceAnswer, referenceRequest } from "./testkit/reference.ts";

const LANES = 16;
/** Batches of as many messages as there are lanes. */
const RUNS = { numRuns: 40, endOnFailure: true };

let lanes: Lanes;
beforeAll(async () => {
  lanes = await Lanes.open(LANES);
});
afterAll(() => lanes.close());

const answersIn = (text: string) => (text === "" ? [] : text.split(/(?=HTTP\/1\.1 \d)/));
const statusOf = (answer: string | undefined) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer ?? "")?.[1]);

interface Expected {
  /** What the endpoint must get. */
  forwarded: string;
  /** Requests that it gets whole. */
  count: number;
  end: "clean" | "refused" | "breaks";
}

/** @param stream all that a caller sends before it ends its side */
function expectedOf(stream: string): Expected {
  const expected: Expected = { forwarded: "", count: 0, end: "clean" };
  let rest = stream;
  while (/[^\r\n]/.test(rest) || !/^(\r\n)*$/.test(rest)) {
    const request = referenceRequest(rest);
    if (request.verdict === "refused") return { ...expected, end: "refused" };
    if (request.content.state !== "whole") return { ...expected, end: "breaks" };
    expected.forwarded += request.head + request.content.framed;
    expected.count++;
    if (!request.keepAlive) return expected;
    rest = request.content.rest;
  }
  return expected;
}

function requestMisfit(expected: Expected, { answer, caller, endpoint, cut }: Outcome): string {
  const forwarded = expected.forwarded.endsWith(NEXT_FORWARDED)
    ? expected.forwarded.slice(0, -NEXT_FORWARDED.length)
    : expected.forwarded;
  const answers = answersIn(answer);
  const served = answers.filter((each) => statusOf(each) < 300).length + (caller === "kept" ? 1 : 0);
  if (served !== expected.count) return `${served} requests were served, not ${expected.count}`;
  if (expected.end !== "breaks" && endpoint !== forwarded) return "the endpoint got something else";
  if (expected.end === "clean")
    return answers.every((each) => statusOf(each) < 300) ? "" : "a good request was refused";
  if (caller !== "closed") return "the connection was not closed";
  // What is no HTTP is left without an answer.
  const said = answers.length === expected.count + 1 && statusOf(answers.at(-1)) >= 400;
  if (expected.end === "refused") return said || answers.length === expected.count ? "" : "it was not refused";
  if (!endpoint.startsWith(forwarded)) return "the endpoint got something else before it";
  return said && (endpoint === forwarded || cut) ? "" : "the endpoint or the caller was not told";
}

function answerMisfit(text: string, method: string, { answer, caller, endpoint }: Outcome): string {
  let head = "";
  let next = referenceAnswer(text, method);
  let rest = text;
  while (next.verdict === "good" && next.status < 200) {
    head += next.head;
    rest = next.content.state === "whole" ? next.content.rest : "";
    next = referenceAnswer(rest, method);
  }
  if (endpoint === "") return "the endpoint got nothing";
  const refused = caller === "kept" && statusOf(answersIn(answer).at(-1)) === 502;
  if (next.verdict === "refused") return refused ? "" : "it was not refused";
  if (next.content.state !== "whole") return refused || caller === "broken" ? "" : "it came to a clean end";
  if (caller !== "kept") return "the caller's connection ended";
  if (next.framing !== "close")
    return answer === head + next.head + next.content.framed ? "" : "the caller got something else";
  const wrapped = referenceAnswer(answer.slice(head.length), method);
  if (wrapped.verdict === "refused" || wrapped.content.state !== "whole") return "the caller got no whole answer";
  const same = answer.startsWith(head + next.head) && wrapped.content.data === next.content.data;
  return same ? "" : "the caller got something else";
}

const batchOf = <Message>(message: fc.Arbitrary<Message>) => fc.array(message, { minLength: 1, maxLength: LANES });

async function requestsAgree(messages: readonly { text: string; cuts: readonly number[] }[]): Promise<void> {
  const jobs = messages.flatMap(({ text, cuts }) => {
    const stream = text + NEXT;
    return [[stream], cutAt(stream, cuts)].map((pieces) => ({ stream, pieces }));
  });
  const misfits = await lanes.all(jobs, async (lane, { stream, pieces }) => {
    const outcome = await lane.run(pieces, true);
    const misfit = requestMisfit(expectedOf(stream), outcome);
    return misfit === "" ? undefined : { misfit, pieces, expected: expectedOf(stream), outcome };
  });
  expect(misfits.filter((each) => each !== undefined)).toEqual([]);
}

async function answersAgree(
  messages: readonly { text: string; method: string; cuts: readonly number[] }[],
): Promise<void> {
  const jobs = messages.flatMap(({ text, method, cuts }) =>
    [[text], cutAt(text, cuts)].map((pieces) => ({ text, method, pieces })),
  );
  const misfits = await lanes.all(jobs, async (lane, { text, method, pieces }) => {
    const request = `${method} / HTTP/1.1\r\nHost: h\r\n\r\n`;
    const outcome = await lane.run([request], false, { pieces, after: "ends" });
    const misfit = answerMisfit(text, method, outcome);
    return misfit === "" ? undefined : { misfit, method, pieces, outcome };
  });
  expect(misfits.filter((each) => each !== undefined)).toEqual([]);
}

describe("the proxy agrees with the reference", () => {
  const request = (text: fc.Arbitrary<string>) => batchOf(fc.record({ text, cuts: cutPoints }));
  const answer = (text: fc.Arbitrary<string>) =>
    batchOf(fc.record({ text, method: fc.constantFrom("GET", "GET", "HEAD"), cuts: cutPoints }));

  test("about requests", async () => {
    await fc.assert(fc.asyncProperty(request(goodRequest), requestsAgree), RUNS);
  }, 60_000);

  test("about requests in which something was changed", async () => {
    await fc.assert(fc.asyncProperty(request(mutated(goodRequest)), requestsAgree), { ...RUNS, numRuns: 80 });
  }, 60_000);

  test("about answers", async () => {
    await fc.assert(fc.asyncProperty(answer(goodAnswer), answersAgree), RUNS);
  }, 60_000);

  test("about answers in which something was changed", async () => {
    await fc.assert(fc.asyncProperty(answer(mutated(goodAnswer)), answersAgree), { ...RUNS, numRuns: 80 });
  }, 60_000);
});
