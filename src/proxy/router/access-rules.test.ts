import { expect, test } from "vitest";
import { silentLog } from "../../telemetry/log.ts";
import { AccessRules } from "./access-rules.ts";
import { RegexPrograms } from "./regex-programs.ts";
import { rule } from "./testkit/mesh-configs.ts";

const on = (destination: string, pattern: string) =>
  rule("t", destination, ["n/client"], { http: { matches: [{ path: { type: "regex", value: pattern } }] } });

test("rules are found by the identity that they open, in the order of their keys", () => {
  const rules = new AccessRules(new RegexPrograms(silentLog));
  const [b, a, c] = [on("n/s", "/b"), on("n/s", "/a"), on("n/t", "/c")];
  rules.apply({ "n/b": b, "n/c": c, "n/a": a });
  expect(rules.opening("n/s").map(({ source }) => source)).toEqual([a, b]);
  expect(rules.opening("n/u")).toEqual([]);
});

test("a rule that stays the same object is kept; whether any did not is told", () => {
  const rules = new AccessRules(new RegexPrograms(silentLog));
  const kept = on("n/s", "/a");
  expect(rules.apply({ "n/a": kept, "n/b": on("n/s", "/b") })).toBe(true);
  const [before] = rules.opening("n/s");
  expect(rules.apply({ "n/a": kept })).toBe(true);
  expect(rules.opening("n/s")).toHaveLength(1);
  expect(rules.opening("n/s")[0]).toBe(before);
  expect(rules.apply({ "n/a": kept })).toBe(false);
});

test("patterns of rules that went go with them, those of others stay", () => {
  const programs = new RegexPrograms(silentLog);
  const rules = new AccessRules(programs);
  rules.apply({ "n/a": on("n/s", "/a.c"), "n/b": on("n/s", "/b.c") });
  expect(programs.size).toBe(2);
  rules.apply({ "n/a": on("n/s", "/a.c"), "n/b": on("n/s", "/d.e") });
  expect(programs.size).toBe(2);
  rules.apply({});
  expect(programs.size).toBe(0);
});
