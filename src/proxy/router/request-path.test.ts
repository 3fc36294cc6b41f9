import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RequestPath } from "./request-path.ts";

function read(raw: string): RequestPath {
  const path = new RequestPath();
  path.read(raw);
  return path;
}

describe("a plain path", () => {
  test.each([
    ["/", "/"],
    ["", ""],
    ["*", "*"],
    ["/api/v1", "/api/v1"],
    ["/api/", "/api/"],
    ["/.well-known/x", "/.well-known/x"],
    ["/..a/b..", "/..a/b.."],
    ["/...", "/..."],
    ["/a.b/c", "/a.b/c"],
    ["/a%20b", "/a b"],
    ["/a%2Eb", "/a.b"],
    ["/a;x=1/b", "/a;x=1/b"],
    ["/caf%C3%A9", "/café"],
    ["/%252e%252e/a", "/%2e%2e/a"],
    ["/a%252Fb", "/a%2Fb"],
    ["/a%23b", "/a#b"],
    ["/100%25", "/100%"],
  ])("%s is read as %s", (raw, decoded) => {
    const path = read(raw);
    expect(path.decoded).toBe(decoded);
    expect(path.ambiguous).toBe(false);
  });
});

describe("an ambiguous path", () => {
  test.each([
    "/.",
    "/..",
    "/./a",
    "/../a",
    "/a/..",
    "/a/../b",
    "/a/.",
    "../a",
    "/%2e%2e/a",
    "/%2E./a",
    "/a/.%2e",
    "/..;x/a",
    "/..%3Bx/a",
    "/.;/a",
    "/a%2Fb",
    "/a%2fb",
    "/a%5Cb",
    "/a%5cb",
    "/a\\b",
    "//a",
    "/a//b",
    "/a//",
    "//",
    "/a%00",
    "/a\0",
    "/a#b",
  ])("%s can be read in two ways", (raw) => {
    expect(read(raw).ambiguous).toBe(true);
  });

  test.each(["/%", "/%zz/a", "/%C0%AE%C0%AE/a", "/\xff"])("%s cannot be decoded at all", (raw) => {
    const path = read(raw);
    expect(path.ambiguous).toBe(true);
    expect(path.decoded).toBe(undefined);
  });
});

test("a path that is not ambiguous means to a resolver of URLs what the rules read", () => {
  const pieces = fc.constantFrom("/", ".", "..", "a", "b;c", ";", "%2e", "%2f", "%5c", "\\", "%41", "%20");
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
      const raw = `/${parts.join("")}`;
      const path = read(raw);
      if (path.ambiguous) return;
      expect(decodeURIComponent(new URL(raw, "http://h").pathname)).toBe(path.decoded);
    }),
    { numRuns: 2_000 },
  );
});

test("one reader reads one path after the other", () => {
  const path = new RequestPath();
  path.read("/a/../b");
  path.read("/c");
  expect([path.decoded, path.ambiguous]).toEqual(["/c", false]);
});
