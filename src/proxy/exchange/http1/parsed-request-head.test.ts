import { expect, test } from "vitest";
import { HeadParser } from "../../http1/head-parser.ts";
import { ParsedRequestHead } from "./parsed-request-head.ts";

function view(...lines: readonly string[]): ParsedRequestHead {
  const bytes = Buffer.from([...lines, "", ""].join("\r\n"), "latin1");
  const parser = new HeadParser();
  expect(parser.parseRequest(bytes, 0, bytes.length)).toBe("");
  const head = new ParsedRequestHead(parser);
  head.set(bytes, 0, bytes.length);
  return head;
}

test("routes and rules see the host that the endpoint will see", () => {
  expect(view("GET http://real:81/ HTTP/1.1", "Host: other").header("host")).toBe("real:81");
  expect(view("GET / HTTP/1.1", "Host: h").header("host")).toBe("h");
});

test("routes and rules do not see a field that Connection names, as the endpoint will not", () => {
  const request = view("GET / HTTP/1.1", "Host: h", "X-Role: admin", "Connection: x-ROLE", "X-Kept: 1");
  expect([request.header("x-role"), request.header("x-kept")]).toEqual([undefined, "1"]);
});

test("routes and rules see the path that the endpoint will see", () => {
  const pathOf = (line: string) => view(line, "Host: h").path;
  expect(pathOf("OPTIONS http://h HTTP/1.1")).toBe("*");
  expect(pathOf("OPTIONS http://h?q HTTP/1.1")).toBe("/");
  expect(pathOf("GET http://h HTTP/1.1")).toBe("/");
  expect(pathOf("GET http://h/a HTTP/1.1")).toBe("/a");
});
