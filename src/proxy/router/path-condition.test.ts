import fc from "fast-check";
import { RE2JS } from "re2js";
import { describe, expect, test } from "vitest";
import type { PathMatch } from "../../config/mesh-config.ts";
import { silentLog } from "../../telemetry/log.ts";
import { compilePath } from "./path-condition.ts";
import { RegexPrograms } from "./regex-programs.ts";

const compiled = (type: PathMatch["type"], value: string, programs = new RegexPrograms(silentLog)) =>
  compilePath({ type, value }, programs);
const fits = (type: PathMatch["type"], value: string, path: string) => compiled(type, value)?.fits(path) ?? true;

describe("compilePath", () => {
  const cases: [PathMatch["type"], string, string[], string[]][] = [
    ["exact", "/a", ["/a"], ["/a/", "/A", "/ab", "/"]],
    ["exact", "/", ["/"], ["", "/a", "*"]],
    ["prefix", "/a", ["/a", "/a/", "/a/b"], ["/ab", "/", "/A", "/b/a"]],
    ["prefix", "/a/", ["/a", "/a/", "/a/b"], ["/ab"]],
    ["prefix", "/", ["/", "/a", "/a/b"], ["*"]],
    ["prefix", "/a/b", ["/a/b", "/a/b/c"], ["/a", "/a/bc"]],
    ["regex", "/api", ["/api", "/apifoo", "/api/x"], ["/ap", "/x/api", "/API"]],
    ["regex", "^/api", ["/api", "/apifoo"], ["/x/api"]],
    ["regex", "/api$", ["/api"], ["/api/", "/apifoo"]],
    ["regex", "^/api\\.json$", ["/api.json"], ["/apixjson"]],
    ["regex", "/api/.*", ["/api/", "/api/x"], ["/api"]],
    ["regex", "/api.", ["/apix"], ["/api"]],
    ["regex", "/(a|b)", ["/a", "/bx"], ["/c"]],
    ["regex", "/a|/b", ["/a", "/bx"], ["/c"]],
    ["regex", "/ab*", ["/a", "/abbb"], ["/b"]],
    ["regex", ".*", ["/", "*", ""], []],
    ["regex", "", ["/", "*", ""], []],
    ["regex", "/", ["/", "/x"], ["*", ""]],
    ["regex", "/.*", ["/", "/x"], ["*", ""]],
    ["regex", "(", [], ["(", "/"]],
    ["regex", "/a\\", [], ["/a", "/a\\"]],
  ];
  test.each(cases)("%s %s fits %j and not %j", (type, value, fitting, others) => {
    for (const path of fitting) expect([path, fits(type, value, path)]).toEqual([path, true]);
    for (const path of others) expect([path, fits(type, value, path)]).toEqual([path, false]);
  });
});

test("plain patterns need no program", () => {
  const programs = new RegexPrograms(silentLog);
  for (const pattern of ["", ".*", "^", "^.*", "/", "/.*", "/api", "^/api", "/api/.*", "/a\\.b$", "\\/a\\-b"]) {
    compiled("regex", pattern.replace("\\/", "/").replace("\\-", "-"), programs);
  }
  expect(programs.size).toBe(0);
  const condition = compiled("regex", "/a.b", programs);
  expect(programs.size).toBe(1);
  condition?.release(programs);
  expect(programs.size).toBe(0);
});

test("a pattern that is compared as text means what RE2 means by it", () => {
  const piece = fc.constantFrom(
    "/",
    "a",
    "b",
    ".",
    ".*",
    "$",
    "^",
    "\\.",
    "\\*",
    "*",
    "+",
    "|",
    "(a)",
    "[ab]",
    "\\d",
    "\\",
    "{2}",
    "?",
  );
  const anyPath = fc.array(fc.constantFrom("/", "a", "b", ".", "*", "1", "\\", "\n"), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 5 }), anyPath, (pieces, characters) => {
      const pattern = pieces.join("");
      const path = characters.join("");
      let expected = false;
      try {
        expected = RE2JS.compile(pattern).matcher(path).lookingAt();
      } catch {}
      expect(fits("regex", pattern, path)).toBe(expected);
    }),
    { numRuns: 5_000 },
  );
});

test("only conditions that tell paths apart decide", () => {
  expect(compiled("regex", ".*")).toBe(undefined);
  expect(compiled("regex", "/.*")?.decides).toBe(false);
  expect(compiled("prefix", "/")?.decides).toBe(false);
  expect(compiled("prefix", "/a")?.decides).toBe(true);
  expect(compiled("regex", "/a")?.decides).toBe(true);
  expect(compiled("exact", "/")?.decides).toBe(true);
});
