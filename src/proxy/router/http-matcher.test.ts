import { describe, expect, test } from "vitest";
import type { HttpMatch } from "../../config/mesh-config.ts";
import { silentLog } from "../../telemetry/log.ts";
import { Call } from "./call.ts";
import { HttpMatcher, type Misfit } from "./http-matcher.ts";
import { RegexPrograms } from "./regex-programs.ts";
import { request } from "./testkit/mesh-configs.ts";
import type { RequestView } from "./types.ts";

function misfit(match: HttpMatch, view: RequestView, forAccess = false): Misfit {
  const call = new Call();
  call.begin({ address: "127.0.0.1", workload: undefined, identity: undefined }, view);
  return new HttpMatcher(match, new RegexPrograms(silentLog), forAccess ? "access" : "route").misfit(call);
}

const header = (type: "exact" | "regex", value: string): HttpMatch => ({ headers: [{ name: "x-a", type, value }] });
const query = (type: "exact" | "regex", value: string): HttpMatch => ({ query: [{ name: "q", type, value }] });
const regex = (value: string): HttpMatch => ({ path: { type: "regex", value } });

describe("conditions", () => {
  const cases: [string, HttpMatch, RequestView, Misfit][] = [
    ["none fits everything", {}, request("/x", "BREW"), ""],
    ["a method among them", { methods: ["GET", "PUT"] }, request("/", "PUT"), ""],
    ["a method's case counts", { methods: ["GET"] }, request("/", "get"), "method"],
    ["an empty list of methods fits none", { methods: [] }, request("/"), "method"],
    ["a path is matched decoded", regex("/a b"), request("/a%20b"), ""],
    ["once", regex("/a%20b"), request("/a%2520b"), ""],
    ["what cannot be decoded fits no path", regex("/a"), request("/a%zz"), "path"],
    ["but where any path will do", regex(".*"), request("/a%zz"), ""],
    ["a header's exact value", header("exact", "1"), request("/", "GET", { "x-a": "1" }), ""],
    ["another value", header("exact", "1"), request("/", "GET", { "x-a": "11" }), "header"],
    ["no such header", header("exact", ""), request("/"), "header"],
    ["a header's pattern is searched", header("regex", "t|True"), request("/", "GET", { "x-a": "not" }), ""],
    ["and not found", header("regex", "t|True"), request("/", "GET", { "x-a": "false" }), "header"],
    ["any value of a header", header("regex", ".*"), request("/", "GET", { "x-a": "" }), ""],
    ["is not none", header("regex", ".*"), request("/"), "header"],
    ["a parameter's exact value", query("exact", "a b"), request("/", "GET", {}, "p=1&q=a+b"), ""],
    ["the first one counts", query("exact", "2"), request("/", "GET", {}, "q=1&q=2"), "query"],
    ["a parameter's pattern is searched", query("regex", "^a.*z$"), request("/", "GET", {}, "q=a-z"), ""],
    ["no such parameter", query("regex", ""), request("/", "GET", {}, "p=1"), "query"],
    [
      "all of them hold together",
      { methods: ["GET"], ...regex("/a"), ...header("exact", "1") },
      request("/a", "GET", { "x-a": "2" }),
      "header",
    ],
  ];
  test.each(cases)("%s", (_name, match, view, expected) => {
    expect(misfit(match, view)).toBe(expected);
  });
});

describe("where access is decided", () => {
  test("an ambiguous path fits no path condition", () => {
    expect(misfit(regex("/a"), request("/a/../b"), true)).toBe("ambiguousPath");
    expect(misfit(regex("/a"), request("/a/../b"), false)).toBe("");
  });

  test("nor does one that would not fit in any reading", () => {
    expect(misfit(regex("/c"), request("/a/../b"), true)).toBe("ambiguousPath");
  });

  test("where another condition does not hold, that is said", () => {
    expect(misfit({ methods: ["PUT"], ...regex("/a") }, request("/a/.."), true)).toBe("method");
    expect(misfit({ ...regex("/a"), ...header("exact", "1") }, request("/a/.."), true)).toBe("header");
  });

  test.each<[string, readonly string[], route: Misfit, access: Misfit]>([
    ["^a$", ["a"], "", ""],
    ["^a$", ["a", "a"], "", ""],
    ["^a$", ["b", "a"], "", "header"],
    ["^a$", ["a", "b"], "", "header"],
    ["^a$", ["a", ""], "", "header"],
    ["^a$", ["b", "c"], "header", "header"],
    [".*", ["a", ""], "", ""],
    [".*", [], "header", "header"],
  ])("%s with lines %j is %j to a route and %j to a rule", (pattern, lines, route, access) => {
    const view = request("/", "GET", { "x-a": lines });
    expect([misfit(header("regex", pattern), view), misfit(header("regex", pattern), view, true)]).toEqual([
      route,
      access,
    ]);
  });

  test("it does where every path would", () => {
    expect(misfit(regex("/.*"), request("/a/../b"), true)).toBe("");
    expect(misfit({ methods: ["GET"] }, request("/a/../b"), true)).toBe("");
    expect(misfit({ path: { type: "prefix", value: "/" } }, request("/%zz"), true)).toBe("");
  });
});

test("only a match without conditions always fits", () => {
  const programs = new RegexPrograms(silentLog);
  expect(new HttpMatcher({}, programs, "route").always).toBe(true);
  expect(new HttpMatcher({ ...regex(".*"), headers: [] }, programs, "route").always).toBe(true);
  expect(new HttpMatcher(regex("/.*"), programs, "route").always).toBe(false);
  expect(new HttpMatcher({ methods: [] }, programs, "route").always).toBe(false);
});

test("released, it leaves no program behind", () => {
  const programs = new RegexPrograms(silentLog);
  const matcher = new HttpMatcher(
    { ...regex("/a.b"), ...header("regex", "x+"), ...query("regex", "y+") },
    programs,
    "route",
  );
  expect(programs.size).toBe(3);
  matcher.release(programs);
  expect(programs.size).toBe(0);
});
