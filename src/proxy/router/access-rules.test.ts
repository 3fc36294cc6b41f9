import { expect, test } from "vitest";
import type { AccessRule } from "../../config/mesh-config.ts";
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

test("a rule that stays the same object is kept; that any did not is known by the generation", () => {
  const rules = new AccessRules(new RegexPrograms(silentLog));
  const kept = on("n/s", "/a");
  rules.apply({ "n/a": kept, "n/b": on("n/s", "/b") });
  const [before] = rules.opening("n/s");
  const first = rules.generation;
  rules.apply({ "n/a": kept });
  expect(rules.opening("n/s")).toHaveLength(1);
  expect(rules.opening("n/s")[0]).toBe(before);
  const second = rules.generation;
  expect(second).not.toBe(first);
  rules.apply({ "n/a": kept });
  expect(rules.generation).toBe(second);
});

test("of a configuration that says what changed, only that is looked at", () => {
  const rules = new AccessRules(new RegexPrograms(silentLog));
  const source = { "n/a": on("n/s", "/a"), "n/c": on("n/s", "/c"), "n/x": on("n/s", "/x") };
  rules.apply(source);
  const changed: Readonly<Record<string, AccessRule>> = {
    "n/a": source["n/a"],
    "n/b": on("n/s", "/b"),
    "n/c": on("n/t", "/"),
  };
  const change = (key: string) => ({ section: "accessRules" as const, key, before: undefined });
  rules.apply(changed, [change("n/b"), change("n/c"), { ...change("n/x"), section: "servicePorts" }]);
  expect(rules.opening("n/s").map(({ key }) => key)).toEqual(["n/a", "n/b", "n/x"]);
  expect(rules.opening("n/t").map(({ key }) => key)).toEqual(["n/c"]);
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
