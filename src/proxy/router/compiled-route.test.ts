import { expect, test } from "vitest";
import { silentLog } from "../../telemetry/log.ts";
import { compileRoutes } from "./compiled-route.ts";
import { RegexPrograms } from "./regex-programs.ts";
import { route } from "./testkit/mesh-configs.ts";

const matching = (name: string, pattern: string) =>
  route(name, [], { matches: [{ path: { type: "regex", value: pattern } }] });

test("a route that stays the same object is kept, another of its name hands its split on", () => {
  const programs = new RegexPrograms(silentLog);
  const [a, b] = [matching("a", "/a.c"), matching("b", "/b.c")];
  const before = compileRoutes([a, b], [], programs);
  const after = compileRoutes([matching("b", "/d.e"), a, matching("b", "/f.g")], before, programs);
  expect(after[1]).toBe(before[0]);
  expect(after[0]).not.toBe(before[1]);
  expect(after[0]?.split).toBe(before[1]?.split);
  expect(after[2]?.split).not.toBe(before[1]?.split);
});

test("patterns of routes that went go with them", () => {
  const programs = new RegexPrograms(silentLog);
  const before = compileRoutes([matching("a", "/a.c"), matching("b", "/b.c")], [], programs);
  const after = compileRoutes([matching("a", "/a.c")], before, programs);
  expect(programs.size).toBe(1);
  compileRoutes([], after, programs);
  expect(programs.size).toBe(0);
});
