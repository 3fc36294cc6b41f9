import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BreakerComparison, BreakerExpression } from "../config/mesh-config.ts";
import { parseBreaker } from "./breaker-parser.ts";

const errors = { metric: "networkErrorRatio", operator: ">", value: 0.3 } as const;
const codes = { metric: "responseCodeRatio", codes: [500, 600, 0, 600], operator: ">=", value: 0.25 } as const;
const latency = { metric: "latencyAtQuantileMs", quantile: 50, operator: "<", value: 100 } as const;

const NAMES = {
  networkErrorRatio: () => "NetworkErrorRatio()",
  responseCodeRatio: (each: BreakerComparison) => `ResponseCodeRatio(${"codes" in each ? each.codes.join(", ") : ""})`,
  latencyAtQuantileMs: (each: BreakerComparison) =>
    `LatencyAtQuantileMS(${"quantile" in each ? each.quantile.toFixed(3) : ""})`,
};

function print(expression: BreakerExpression): string {
  if ("any" in expression) return `(${expression.any.map(print).join(" || ")})`;
  if ("all" in expression) return `(${expression.all.map(print).join(" && ")})`;
  const value = expression.metric === "latencyAtQuantileMs" ? String(expression.value) : expression.value.toFixed(6);
  return `${NAMES[expression.metric](expression)} ${expression.operator} ${value}`;
}

describe("an expression of the circuit breaker", () => {
  test.each<[string, BreakerExpression]>([
    ["NetworkErrorRatio() > 0.30", errors],
    ["NetworkErrorRatio()>.30", errors],
    ["ResponseCodeRatio(500, 600, 0, 600) >= 0.25", codes],
    ["LatencyAtQuantileMS(50.0) < 100", latency],
    ["NetworkErrorRatio() > 0.3 && LatencyAtQuantileMS(50.0) < 100", { all: [errors, latency] }],
    [
      "NetworkErrorRatio() > 0.3 || LatencyAtQuantileMS(50.0) < 100 && NetworkErrorRatio() > 0.3",
      { any: [errors, { all: [latency, errors] }] },
    ],
    [
      "(NetworkErrorRatio() > 0.3 || LatencyAtQuantileMS(50.0) < 100) && NetworkErrorRatio() > 0.3",
      { all: [{ any: [errors, latency] }, errors] },
    ],
    ["  ((NetworkErrorRatio() > 0.3))  ", errors],
  ])("%s is read", (text, expression) => {
    expect(parseBreaker(text)).toEqual({ expression });
  });

  test.each([
    ["", "it ends at character 1 where NetworkErrorRatio()"],
    ["Expression", '"Expression" stands at character 1'],
    ["NetworkErrorRatio() > 1", '"1" stands at character 23 where a ratio such as 0.30'],
    ["NetworkErrorRatio() > ", "it ends at character 23 where a ratio"],
    ["NetworkErrorRatio > 0.3", '">" stands at character 19 where "("'],
    ["NetworkErrorRatio() => 0.3", '"=" stands at character 21'],
    ["NetworkErrorRatio() = 0.3", '"=" stands at character 21'],
    ["networkErrorRatio() > 0.3", '"networkErrorRatio" stands at character 1'],
    ["0.3 < NetworkErrorRatio()", '"0.3" stands at character 1'],
    ["LatencyAtQuantileMS(50) > 100", '"50" stands at character 21 where a quantile with a point'],
    ["LatencyAtQuantileMS(150.0) > 100", "a quantile from 0.0 to 100.0"],
    ["LatencyAtQuantileMS(50.0) > 100.0", '"100.0" stands at character 29 where whole milliseconds'],
    ["ResponseCodeRatio(500, 600, 0) > 0.5", '")" stands at character 30 where ","'],
    ["ResponseCodeRatio(5.0, 600, 0, 600) > 0.5", '"5.0" stands at character 19 where a status code'],
    ["NetworkErrorRatio() > 0.3 LatencyAtQuantileMS(50.0) > 1", 'where "&&", "||" or the end'],
    ["(NetworkErrorRatio() > 0.3", 'it ends at character 27 where ")"'],
    ["NetworkErrorRatio() > 0.3 &", '"&" stands at character 27'],
    ["NetworkErrorRatio() > -0.3", '"-" stands at character 23'],
    [`${"(".repeat(40)}NetworkErrorRatio() > 0.3${")".repeat(40)}`, "no more than 32 parentheses"],
  ])("%s is refused, with the place", (text, error) => {
    expect(parseBreaker(text)).toEqual({ error: expect.stringContaining(error) });
  });

  test("printed and read again is the same", () => {
    const operator = fc.constantFrom(">", ">=", "<", "<=", "==", "!=");
    const ratio = fc.integer({ min: 0, max: 1_000_000 }).map((millionths) => millionths / 1_000_000);
    const code = fc.integer({ min: 0, max: 600 });
    const { expression } = fc.letrec<{
      expression: BreakerExpression;
      comparison: BreakerExpression;
      several: BreakerExpression[];
    }>((tie) => ({
      comparison: fc.oneof(
        fc.record({ metric: fc.constant("networkErrorRatio" as const), operator, value: ratio }),
        fc.record({
          metric: fc.constant("responseCodeRatio" as const),
          codes: fc.tuple(code, code, code, code),
          operator,
          value: ratio,
        }),
        fc.record({
          metric: fc.constant("latencyAtQuantileMs" as const),
          quantile: fc.integer({ min: 0, max: 100 }),
          operator,
          value: fc.nat(),
        }),
      ) as fc.Arbitrary<BreakerExpression>,
      several: fc.array(tie("expression"), { minLength: 2, maxLength: 3 }),
      expression: fc.oneof(
        { maxDepth: 3 },
        tie("comparison"),
        tie("several").map((any) => ({ any })),
        tie("several").map((all) => ({ all })),
      ),
    }));
    fc.assert(
      fc.property(expression, (each) => {
        expect(parseBreaker(print(each))).toEqual({ expression: each });
      }),
    );
  });

  test("is refused, never thrown, whatever is written", () => {
    const word = fc.constantFrom(
      "NetworkErrorRatio()",
      "(",
      ")",
      "&&",
      "||",
      ">",
      "0.3",
      "1",
      ",",
      "LatencyAtQuantileMS",
      "é",
      "'",
    );
    fc.assert(
      fc.property(fc.array(word), (words) => {
        const parsed = parseBreaker(words.join(" "));
        expect("error" in parsed || "expression" in parsed).toBe(true);
      }),
    );
  });
});
