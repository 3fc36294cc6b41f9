import { expect, test } from "vitest";
import { HeadParser } from "../../http1/head-parser.ts";
import { responseHead } from "./forwarded-head.ts";
import { trailerFields } from "./trailers.ts";

test("a head that a route changes keeps the bytes of its other values", () => {
  const text = "HTTP/1.1 200 OK\r\nA: \t voil\xc3\xa0 \r\nB:\xa0b\r\n\r\n";
  const parser = new HeadParser();
  expect(parser.parseResponse(Buffer.from(text, "latin1"), 0, text.length, true)).toBe("");
  const options = { framing: "asSaid", callerMinor: 1, close: false, changes: [{ add: { C: "c" } }] } as const;
  expect(responseHead(parser, text, 0, options)).toBe("HTTP/1.1 200 OK\r\nA: voil\xc3\xa0\r\nB: \xa0b\r\nC: c\r\n\r\n");
});

test("trailers keep the bytes of their values in the other version of HTTP", () => {
  const section = Buffer.from("X-A: \tvoil\xc3\xa0\t\r\nX-B:\r\n\r\n", "latin1");
  expect(trailerFields(section)).toEqual(["x-a", "voil\xc3\xa0", "x-b", ""]);
});
