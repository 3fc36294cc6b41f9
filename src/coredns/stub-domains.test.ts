import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { putStubDomains, takeOutStubDomains } from "./stub-domains.ts";

const DOMAINS = ["maesh", "traefik.mesh"];
const SERVERS = ["10.96.7.7", "fd00::7"];

const put = (text: string | undefined) => {
  const result = putStubDomains(text, DOMAINS, SERVERS);
  if ("fault" in result) throw new Error(result.fault);
  return result.text;
};
const takeOut = (text: string | undefined) => {
  const result = takeOutStubDomains(text, DOMAINS);
  if ("fault" in result) throw new Error(result.fault);
  return result.text;
};

/** JSON as one may write it: any order, any spacing. */
const gap = fc.constantFrom("", " ", "\n  ", "\n");
const member = fc
  .tuple(
    fc.constantFrom("corp.example", "a", "maesh.example", "x.traefik.mesh", 'q"'),
    fc.array(fc.constantFrom("192.0.2.1", "b:53", 'say "maesh":["x"]')),
    gap,
    gap,
  )
  .map(([domain, servers, a, b]) => ({
    domain,
    text: `${a}${JSON.stringify(domain)}${b}:${b}${JSON.stringify(servers)}`,
  }));
const objects = fc
  .tuple(fc.uniqueArray(member, { selector: ({ domain }) => domain }), gap, gap, fc.constantFrom("", "\n"))
  .map(([members, between, last, end]) => `{${members.map(({ text }) => text).join(`${between},`)}${last}}${end}`);

describe("stub domains", () => {
  test("taken out again, leave any text as it was", () => {
    fc.assert(
      fc.property(fc.option(objects, { nil: undefined }), (text) => {
        fc.pre(text !== "{ }\n"); // that is how we write an empty object, and then the key goes
        expect(takeOut(put(text))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  test("are there after it, beside those of others, and a second time nothing changes", () => {
    fc.assert(
      fc.property(objects, (text) => {
        const after = put(text);
        expect(JSON.parse(after)).toEqual({ ...JSON.parse(text), maesh: SERVERS, "traefik.mesh": SERVERS });
        expect(put(after)).toBe(after);
      }),
    );
  });

  test("with other servers are replaced where they stand, and said", () => {
    const result = putStubDomains('{"maesh" : [ "10.0.0.1" ],\n "a": []}', DOMAINS, ["10.96.7.7"]);
    expect(result).toEqual({
      text: '{"maesh":["10.96.7.7"],\n "a": [],"traefik.mesh":["10.96.7.7"]}',
      replaced: ["maesh"],
    });
  });

  test("written by others are taken out from any place", () => {
    expect(takeOut('{"maesh":["1"],"a":["2"],"traefik.mesh":["1"]}')).toBe('{"a":["2"]}');
    expect(takeOut('{ "traefik.mesh": ["1"], "maesh": ["1"] }')).toBe("{   }");
    expect(takeOut('{"a":["2"]}')).toBe('{"a":["2"]}');
  });

  test("in a form that no edit of the text fits are written anew", () => {
    expect(JSON.parse(put('{"ma\\u0065sh":["1"]}'))).toEqual({ maesh: SERVERS, "traefik.mesh": SERVERS });
    expect(takeOut('{"ma\\u0065sh":["1"],"a":[]}')).toBe('{"a":[]}');
    expect(takeOut('{"maesh":["]"],"a":[]}')).toBe('{"a":[]}');
  });

  test("in a text that is no such object are a fault", () => {
    for (const text of ["", "corp: 1", "[]", "null", '"x"', '{"a":"192.0.2.1"}', '{"a":["1"]']) {
      expect(putStubDomains(text, DOMAINS, SERVERS)).toHaveProperty("fault");
      expect(takeOutStubDomains(text, DOMAINS)).toHaveProperty("fault");
    }
  });
});
