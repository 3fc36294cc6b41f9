import fc from "fast-check";
import { RE2JS } from "re2js";
import { expect, test } from "vitest";
import type { HttpMatch } from "../config/mesh-config.ts";
import { ALWAYS, NEVER } from "./condition.ts";
import { anchored, matchesCondition, takenBy } from "./http-match-condition.ts";

const rule = (match: HttpMatch, forAccess = false) =>
  matchesCondition([match], forAccess, () => expect.unreachable()).text;

test.each<[HttpMatch, string]>([
  [{ path: { type: "exact", value: "/a" } }, "Path(`/a`)"],
  [{ path: { type: "prefix", value: "/a/" } }, "Path(`/a`) || PathPrefix(`/a/`)"],
  [{ path: { type: "prefix", value: "/" } }, "PathRegexp(`^/`)"],
  [{ path: { type: "regex", value: "/a|/b" } }, "PathRegexp(`^(?:/a|/b)`)"],
  [{ methods: ["GET", "HEAD"] }, "Method(`GET`) || Method(`HEAD`)"],
  [{ headers: [{ name: "x-a", type: "exact", value: "1" }] }, "Header(`x-a`, `1`)"],
  [{ headers: [{ name: "x-a", type: "exact", value: "" }] }, "HeaderRegexp(`x-a`, `^$`)"],
  [{ headers: [{ name: "x-a", type: "regex", value: "" }] }, "HeaderRegexp(`x-a`, `.*`)"],
  [{ query: [{ name: "q", type: "regex", value: "1" }] }, "QueryRegexp(`q`, `1`)"],
  // Whatever Host there is.
  [{ methods: ["GET"], headers: [{ name: "host", type: "regex", value: ".*" }] }, "Method(`GET`)"],
])("%j is %s", (match, text) => expect(rule(match)).toBe(text));

test("a path that servers read in different ways fits nothing that decides access by path", () => {
  expect(rule({ path: { type: "exact", value: "/a" } }, true)).toMatch(/^Path\(`\/a`\) && !PathRegexp\(`/);
  expect(rule({ path: { type: "regex", value: "/.*" } }, true)).toBe("PathRegexp(`^/`)");
  const [, pattern = ""] = /!PathRegexp\(`(.*)`\)/.exec(rule({ path: { type: "exact", value: "/a" } }, true)) ?? [];
  const ambiguous = RE2JS.compile(pattern);
  for (const path of ["/a/../b", "/..", "/.", "/a/..;x=1/b", "//a", "/a//", "/a%2Fb", "/a\\b", "/a\0b", "/a\ufffd"])
    expect.soft(ambiguous.matcher(path).find(), path).toBe(true);
  for (const path of ["/", "/a", "/a/", "/a.b/..c/d..", "/...", "/a%2fb", "/é", "/a;b"])
    expect.soft(ambiguous.matcher(path).find(), path).toBe(false);
});

const anyPattern = fc.string({
  unit: fc.constantFrom("/", "a", "b", "\\Q", "\\E", "\\\\", "\\d", "|", "(?:", ")", ".*", "$", "[ab]", "^"),
  maxLength: 8,
});

test("a pattern that is whole is whole when it is anchored, and fits the same from the start of the path", () => {
  fc.assert(
    fc.property(
      anyPattern,
      fc.string({ unit: fc.constantFrom("/", "a", "b", "\\", "1", "|"), maxLength: 5 }),
      (text, path) => {
        let pattern: RE2JS;
        try {
          pattern = RE2JS.compile(text);
        } catch {
          return;
        }
        const found = RE2JS.compile(anchored(text)).matcher(path).find();
        expect(found).toBe(pattern.matcher(path).lookingAt());
      },
    ),
    { numRuns: 2_000 },
  );
});

test("what Traefik's rules do not see fits nothing, and is said", () => {
  const said: string[] = [];
  const matches: HttpMatch[] = [
    { name: "host", headers: [{ name: "host", type: "regex", value: "a" }] },
    { name: "half", path: { type: "regex", value: "/\ud800" } },
    { name: "fine", methods: ["GET"] },
  ];
  const condition = matchesCondition(matches, true, ({ name = "" }, why) => said.push(`${name}: ${why}`));
  expect(condition.text).toBe("Method(`GET`)");
  expect(said).toEqual([
    "host: Traefik's rules do not see the header Host as it came",
    "half: half a character is in it",
  ]);
});

test("of a match that cannot be said, what can be said of it is what it may fit at most", () => {
  const host = { name: "host", type: "regex", value: "a" } as const;
  const taken = (...matches: HttpMatch[]) => {
    const { certain, possible } = takenBy(matches, () => {});
    return [certain === NEVER ? "never" : certain.text, possible === ALWAYS ? "always" : possible.text];
  };
  expect(taken({ path: { type: "exact", value: "/a" }, headers: [host] })).toEqual(["never", "Path(`/a`)"]);
  expect(taken({ path: { type: "regex", value: "/\ud800" }, methods: ["GET"] })).toEqual(["never", "Method(`GET`)"]);
  expect(taken({ headers: [host] })).toEqual(["never", "always"]);
  expect(taken({ methods: ["GET"] }, { methods: ["PUT"], headers: [host] })).toEqual([
    "Method(`GET`)",
    "Method(`GET`) || Method(`PUT`)",
  ]);
});
