import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { changePath, targetOf } from "./rewrite.ts";

describe("a prefix is replaced as the Gateway API's table says", () => {
  const cases: [path: string, prefix: string, value: string, expected: string][] = [
    ["/foo/bar", "/foo", "/xyz", "/xyz/bar"],
    ["/foo/bar", "/foo", "/xyz/", "/xyz/bar"],
    ["/foo/bar", "/foo/", "/xyz", "/xyz/bar"],
    ["/foo/bar", "/foo/", "/xyz/", "/xyz/bar"],
    ["/foo", "/foo", "/xyz", "/xyz"],
    ["/foo/", "/foo", "/xyz", "/xyz/"],
    ["/foo/bar", "/foo", "", "/bar"],
    ["/foo/", "/foo", "", "/"],
    ["/foo", "/foo", "", "/"],
    ["/foo/", "/foo", "/", "/"],
    ["/foo", "/foo", "/", "/"],
    // Not in the table.
    ["/foo", "/foo", "/xyz/", "/xyz/"],
    ["/foo", "/foo/", "/xyz", "/xyz"],
    ["/foo/bar", "/", "/xyz", "/xyz/foo/bar"],
    ["/foo/bar", "", "/xyz", "/xyz/foo/bar"],
    ["/", "/", "/xyz", "/xyz/"],
    ["/foo/a%2Fb%20c", "/foo", "/xyz", "/xyz/a%2Fb%20c"],
  ];
  test.each(cases)("%s, prefix %s by %s: %s", (path, prefix, value, expected) => {
    expect(changePath({ type: "prefix", value }, path, prefix)).toBe(expected);
  });
});

test("a prefix that came percent-encoded is replaced whole", () => {
  const change = { type: "prefix", value: "/x" } as const;
  expect(changePath(change, "/%66oo/bar", "/foo")).toBe("/x/bar");
  expect(changePath(change, "/caf%C3%A9/bar", "/café")).toBe("/x/bar");
  expect(changePath(change, "/caf\xc3\xa9/bar", "/café")).toBe("/x/bar");
  expect(changePath(change, "/%F0%9F%98%80/bar", "/😀")).toBe("/x/bar");
});

test("a full path takes the old one's place, with a slash at its start", () => {
  expect(changePath({ type: "full", value: "/new" }, "/old/path", "/old")).toBe("/new");
  expect(changePath({ type: "full", value: "new" }, "/old", "")).toBe("/new");
  expect(changePath({ type: "full", value: "" }, "/old", "")).toBe("/");
});

test("no change leaves the path", () => {
  expect(changePath(undefined, "/a//b/%zz", "")).toBe("/a//b/%zz");
});

test("the query is kept as it came", () => {
  expect(targetOf("/a", "b=%20&c")).toBe("/a?b=%20&c");
  expect(targetOf("/a", "")).toBe("/a");
});

test("whatever comes in, an absolute path comes out, and what followed the prefix is kept", () => {
  const segment = fc.stringMatching(/^[a-z%]{0,3}$/);
  fc.assert(
    fc.property(fc.array(segment), fc.array(segment), fc.array(segment), (prefix, rest, value) => {
      const matched = `/${prefix.join("/").replaceAll("%", "")}`;
      const tail = rest.length === 0 ? "" : `/${rest.join("/")}`;
      const path = `${matched === "/" ? "" : matched.endsWith("/") ? matched.slice(0, -1) : matched}${tail}` || "/";
      const after = changePath({ type: "prefix", value: `/${value.join("/")}` }, path, matched);
      expect(after.startsWith("/")).toBe(true);
      expect(after.endsWith(tail)).toBe(true);
    }),
  );
});
