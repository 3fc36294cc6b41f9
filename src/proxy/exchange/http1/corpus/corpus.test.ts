import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cutsOf, type Lane, Lanes, type Outcome } from "../testkit/lanes.ts";
import { splitRequests } from "../testkit/reference.ts";
import { ANSWERS } from "./answers.ts";
import type { AnswerCase, RequestCase } from "./case.ts";
import { CHUNKED_ANSWERS, CHUNKED_REQUESTS } from "./chunks.ts";
import { HOP_BY_HOP } from "./hop-by-hop.ts";
import { REQUEST_FIELDS } from "./request-fields.ts";
import { REQUEST_FRAMING } from "./request-framing.ts";
import { REQUEST_LINES } from "./request-lines.ts";

const REQUESTS: readonly RequestCase[] = [
  ...REQUEST_LINES,
  ...REQUEST_FIELDS,
  ...HOP_BY_HOP,
  ...REQUEST_FRAMING,
  ...CHUNKED_REQUESTS,
];
const ALL_ANSWERS: readonly AnswerCase[] = [...ANSWERS, ...CHUNKED_ANSWERS];
const LANES = 24;

let lanes: Lanes;
beforeAll(async () => {
  lanes = await Lanes.open(LANES);
});
afterAll(() => lanes.close());

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
const answersIn = (text: string) => text.split(/(?=HTTP\/1\.1 \d)/);

/** What is wrong with what a request came to; "" is nothing. */
function requestMisfit({ gives, halfCloses }: RequestCase, outcome: Outcome): string {
  const { answer, caller, endpoint, cut } = outcome;
  const own = answersIn(answer);
  switch (gives.kind) {
    case "passes": {
      if (endpoint !== gives.forwarded) return "the endpoint got something else";
      const count = splitRequests(gives.forwarded).requests.length;
      const good = own.length === count && own.every((each) => statusOf(each) === 200);
      if (!good) return "the caller got something else";
      return caller === (gives.keeps && !halfCloses ? "kept" : "closed") ? "" : "the connection ended differently";
    }
    case "refused":
    case "breaks": {
      const expected = gives.kind === "refused" ? gives.status : 400;
      if (own.length !== 1 || statusOf(answer) !== expected) return `the answer is not ${expected}`;
      if (caller !== "closed" || !answer.includes("Connection: close\r\n")) return "the connection was not closed";
      if (endpoint === "") return "";
      if (gives.kind === "refused") return "the endpoint got some of it";
      return cut ? "" : "the endpoint was not told that it has not all of it";
    }
    case "left":
      return answer === "" && caller === "closed" && endpoint === "" ? "" : "it was not left alone";
  }
}

function answerMisfit({ gives }: AnswerCase, { answer, caller, reused }: Outcome): string {
  const refused = statusOf(answersIn(answer).at(-1) ?? "") === 502;
  switch (gives.kind) {
    case "passes":
      if (answer !== gives.answer) return "the caller got something else";
      if (caller !== (gives.keeps ? "kept" : "closed")) return "the caller's connection ended differently";
      return reused === gives.reuses ? "" : "the endpoint's connection was treated differently";
    case "refused":
      return refused && caller === "kept" && !reused ? "" : "it is not refused";
    case "fails":
      return !reused && (caller === "broken" || (refused && caller === "kept")) ? "" : "it came to a clean end";
  }
}

/** Each case at once, byte by byte and at other cuts. @returns what is wrong, case by case */
async function misfits<Case extends { name: string; sent: string }>(
  cases: readonly Case[],
  run: (lane: Lane, each: Case, pieces: readonly string[]) => Promise<Outcome>,
  misfit: (each: Case, outcome: Outcome) => string,
): Promise<Record<string, unknown>> {
  const jobs = cases.flatMap((each) => cutsOf(each.sent).map((pieces) => ({ each, pieces })));
  const outcomes = await lanes.all(jobs, (lane, { each, pieces }) => run(lane, each, pieces));
  const found: Record<string, unknown> = {};
  for (const [index, { each, pieces }] of jobs.entries()) {
    const outcome = outcomes[index] as Outcome;
    const wrong = misfit(each, outcome);
    if (wrong !== "") found[`${each.name}, in ${pieces.length} pieces: ${wrong}`] = shortened(outcome);
  }
  return found;
}

const shortened = ({ answer, endpoint, ...rest }: Outcome) => ({
  answer: answer.slice(0, 300),
  endpoint: endpoint.slice(0, 300),
  ...rest,
});

describe("the corpus", () => {
  test("has at least 300 cases, each named once", () => {
    for (const cases of [REQUESTS, ALL_ANSWERS]) {
      const names = cases.map(({ name }) => name);
      expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
    }
    expect(REQUESTS.length + ALL_ANSWERS.length).toBeGreaterThanOrEqual(300);
  });

  test("of requests comes to what it says, however it is cut", async () => {
    const run = (lane: Lane, each: RequestCase, pieces: readonly string[]) => lane.run(pieces, each.halfCloses);
    expect(await misfits(REQUESTS, run, requestMisfit)).toEqual({});
  }, 60_000);

  test("of answers comes to what it says, however it is cut", async () => {
    const run = (lane: Lane, each: AnswerCase, pieces: readonly string[]) =>
      lane.run([each.to], false, { pieces, after: each.after });
    expect(await misfits(ALL_ANSWERS, run, answerMisfit)).toEqual({});
  }, 60_000);
});
