import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CHUNKED, HeadParser, LENGTH, MAX_FIELDS, NO_BODY, UNTIL_CLOSE } from "./head-parser.ts";

function request(text: string): { fault: string; parser: HeadParser; bytes: Buffer } {
  const bytes = Buffer.from(text, "latin1");
  const parser = new HeadParser();
  return { fault: parser.parseRequest(bytes, 0, bytes.length), parser, bytes };
}

function response(text: string, head = false): { fault: string; parser: HeadParser } {
  const bytes = Buffer.from(text, "latin1");
  const parser = new HeadParser();
  return { fault: parser.parseResponse(bytes, 0, bytes.length, head), parser };
}

const HOST = "Host: a\r\n";

describe("a request head", () => {
  test("is taken apart into method, target and fields", () => {
    const { fault, parser, bytes } = request("GET /a?b HTTP/1.1\r\nHost: x.y:80\r\nAccept:  */* \t\r\nEmpty:\r\n\r\n");
    expect(fault).toBe("");
    expect(bytes.toString("latin1", parser.methodStart, parser.methodEnd)).toBe("GET");
    expect(bytes.toString("latin1", parser.targetStart, parser.targetEnd)).toBe("/a?b");
    expect([0, 1, 2].map((index) => parser.value(bytes, index))).toEqual(["x.y:80", "*/*", ""]);
    expect([parser.fieldCount, parser.minor, parser.framing]).toEqual([3, 1, NO_BODY]);
  });

  test.each([
    ["Content-Length: 12", LENGTH, 12],
    ["Content-Length: 0", LENGTH, 0],
    ["content-length:007", LENGTH, 7],
    ["Transfer-Encoding: chunked", CHUNKED, 0],
    ["TRANSFER-ENCODING: Chunked", CHUNKED, 0],
  ])("knows its body's framing from %s", (field, framing, length) => {
    const { fault, parser } = request(`POST / HTTP/1.1\r\n${HOST}${field}\r\n\r\n`);
    expect([fault, parser.framing, parser.contentLength]).toEqual(["", framing, length]);
  });

  test.each([
    ["http://h:1/p?q", "h:1", "/p?q"],
    ["HTTP://h", "h", ""],
    ["https://h?q", "h", "?q"],
  ])("takes the target %s in absolute form", (target, authority, path) => {
    const { fault, parser, bytes } = request(`GET ${target} HTTP/1.1\r\n${HOST}\r\n`);
    expect(fault).toBe("");
    expect(bytes.toString("latin1", parser.authorityStart, parser.authorityEnd)).toBe(authority);
    expect(bytes.toString("latin1", parser.pathStart, parser.targetEnd)).toBe(path);
  });

  test.each([
    ["no method", " / HTTP/1.1", HOST, "bad"],
    ["two spaces", "GET  / HTTP/1.1", HOST, "bad"],
    ["a tab between its parts", "GET\t/ HTTP/1.1", HOST, "bad"],
    ["a space in the target", "GET /a b HTTP/1.1", HOST, "bad"],
    ["a fragment", "GET /a#b HTTP/1.1", HOST, "bad"],
    ["a byte above ASCII in the target", "GET /\xe9 HTTP/1.1", HOST, "bad"],
    ["a NUL in the target", "GET /\0 HTTP/1.1", HOST, "bad"],
    ["no version", "GET /", HOST, "bad"],
    ["a trailing space", "GET / HTTP/1.1 ", HOST, "bad"],
    ["a lower-case version", "GET / http/1.1", HOST, "bad"],
    ["HTTP/2.0", "GET / HTTP/2.0", HOST, "version"],
    ["HTTP/1.2", "GET / HTTP/1.2", HOST, "version"],
    ["HTTP/1.10", "GET / HTTP/1.10", HOST, "bad"],
    ["HTTP/0.9's form", "GET /\r\n", "", "bad"],
    ["what is another protocol's line", "INVALID CONNECTION PREFACE", "", "alien"],
    ["a relative target", "GET a HTTP/1.1", HOST, "bad"],
    ["another scheme", "GET ftp://h/ HTTP/1.1", HOST, "bad"],
    ["user information in the target", "GET http://u@h/ HTTP/1.1", HOST, "bad"],
    ["an empty authority", "GET http:///p HTTP/1.1", HOST, "bad"],
    ["CONNECT", "CONNECT h:80 HTTP/1.1", HOST, "bad"],
    ["CONNECT in disguise", "CONNECT /h HTTP/1.1", HOST, "bad"],
    ["* for GET", "GET * HTTP/1.1", HOST, "bad"],
    ["no Host", "GET / HTTP/1.1", "", "bad"],
    ["two Hosts", "GET / HTTP/1.1", `${HOST}${HOST}`, "bad"],
    ["a list of Hosts", "GET / HTTP/1.1", "Host: a, b\r\n", "bad"],
    ["a Host with a path", "GET / HTTP/1.1", "Host: a/b\r\n", "bad"],
    ["a Host with a user", "GET / HTTP/1.1", "Host: a@b\r\n", "bad"],
    ["a space before the colon", "GET / HTTP/1.1", "Host : a\r\n", "bad"],
    ["a folded field", "GET / HTTP/1.1", `${HOST}A: b\r\n c\r\n`, "bad"],
    ["a folded first line", "GET / HTTP/1.1", ` x\r\n${HOST}`, "bad"],
    ["a bare LF after a field", "GET / HTTP/1.1", `A: b\n${HOST}`, "bad"],
    ["a bare CR in a value", "GET / HTTP/1.1", `A: b\rc\r\n${HOST}`, "bad"],
    ["a NUL in a value", "GET / HTTP/1.1", `A: b\0\r\n${HOST}`, "bad"],
    ["a DEL in a value", "GET / HTTP/1.1", `A: b\x7f\r\n${HOST}`, "bad"],
    ["no colon", "GET / HTTP/1.1", `A\r\n${HOST}`, "bad"],
    ["an empty name", "GET / HTTP/1.1", `: b\r\n${HOST}`, "bad"],
    ["a name that is no token", "GET / HTTP/1.1", `A(b): c\r\n${HOST}`, "bad"],
    ["both framings", "POST / HTTP/1.1", `${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n`, "bad"],
    ["both framings, turned", "POST / HTTP/1.1", `${HOST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n`, "bad"],
    ["two lengths", "POST / HTTP/1.1", `${HOST}Content-Length: 5\r\nContent-Length: 5\r\n`, "bad"],
    ["a list of lengths", "POST / HTTP/1.1", `${HOST}Content-Length: 5, 5\r\n`, "bad"],
    ["a signed length", "POST / HTTP/1.1", `${HOST}Content-Length: +5\r\n`, "bad"],
    ["a hexadecimal length", "POST / HTTP/1.1", `${HOST}Content-Length: 0x5\r\n`, "bad"],
    ["an empty length", "POST / HTTP/1.1", `${HOST}Content-Length:\r\n`, "bad"],
    ["a length beyond all bounds", "POST / HTTP/1.1", `${HOST}Content-Length: 99999999999999999999\r\n`, "bad"],
    ["another coding alone", "POST / HTTP/1.1", `${HOST}Transfer-Encoding: gzip\r\n`, "bad"],
    ["a list of codings", "POST / HTTP/1.1", `${HOST}Transfer-Encoding: gzip, chunked\r\n`, "coding"],
    ["chunked twice", "POST / HTTP/1.1", `${HOST}Transfer-Encoding: chunked, chunked\r\n`, "coding"],
    ["two codings", "POST / HTTP/1.1", `${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n`, "bad"],
    ["a coding with a vertical tab", "POST / HTTP/1.1", `${HOST}Transfer-Encoding: \x0bchunked\r\n`, "bad"],
    ["a coding in quotes", "POST / HTTP/1.1", `${HOST}Transfer-Encoding: "chunked"\r\n`, "bad"],
    ["a coding in HTTP/1.0", "POST / HTTP/1.0", `${HOST}Transfer-Encoding: chunked\r\n`, "bad"],
    ["Connection naming Content-Length", "POST / HTTP/1.1", `${HOST}Connection: content-length\r\n`, "bad"],
    ["Connection naming Host", "GET / HTTP/1.1", `${HOST}Connection: close, Host\r\n`, "bad"],
    ["Connection naming X-Forwarded-For", "GET / HTTP/1.1", `${HOST}Connection: x-forwarded-for\r\n`, "bad"],
    ["a Connection that is no list of tokens", "GET / HTTP/1.1", `${HOST}Connection: a b\r\n`, "bad"],
  ])("is refused for %s", (_name, line, fields, fault) => {
    expect(request(`${line}\r\n${fields}\r\n`).fault).toBe(fault);
  });

  test("is refused for more fields than the bound, and taken at the bound", () => {
    const fields = (count: number) => `GET / HTTP/1.1\r\n${HOST}${"A: b\r\n".repeat(count - 1)}\r\n`;
    expect(request(fields(MAX_FIELDS)).fault).toBe("");
    expect(request(fields(MAX_FIELDS + 1)).fault).toBe("fields");
  });

  test("needs no Host in HTTP/1.0", () => {
    expect(request("GET / HTTP/1.0\r\n\r\n").fault).toBe("");
  });

  test("names connection options whatever their case and spacing", () => {
    const { parser } = request(`GET / HTTP/1.1\r\n${HOST}Connection: Close ,, X-Foo\r\nConnection: KEEP-ALIVE\r\n\r\n`);
    expect([parser.close, parser.keepAlive, parser.nominated]).toEqual([true, true, ["x-foo"]]);
  });

  test.each([
    ["websocket", "", true],
    ["h2c", "", false],
    ["websocket", "Content-Length: 0\r\n", true],
    ["websocket", "Content-Length: 3\r\n", false],
    ["websocket", "HTTP2-Settings: AAA\r\n", false],
  ])("asks for an upgrade to %s with %j: %s", (protocol, fields, upgrade) => {
    const { parser } = request(`GET / HTTP/1.1\r\n${HOST}${fields}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
    expect(parser.upgrade).toBe(upgrade);
  });

  test("whatever its bytes, gets a verdict and never an exception", () => {
    const alphabet = fc.constantFrom(
      "GET ",
      "/",
      " HTTP/1.1",
      "\r\n",
      "\n",
      "\r",
      ":",
      " ",
      "Host: a",
      "\0",
      "\xff",
      "5",
    );
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 30 }), (parts) => {
        expect(["", "bad", "fields", "coding", "version", "alien"]).toContain(
          request(`${parts.join("")}\r\n\r\n`).fault,
        );
      }),
    );
  });
});

test("a trace is told in the head that has a field for it, and in no other that the parser reads", () => {
  const parser = new HeadParser();
  const found = ["X-B3-Flags: 1\r\n", "", "TraceParent: \r\n", "X-Trace: 1\r\n"].map((fields) => {
    const bytes = Buffer.from(`GET / HTTP/1.1\r\n${HOST}${fields}\r\n`, "latin1");
    return [parser.parseRequest(bytes, 0, bytes.length), parser.hasTraceContext];
  });
  expect(found).toEqual([true, false, true, false].map((has) => ["", has]));
});

describe("a response head", () => {
  test.each([
    ["HTTP/1.1 200 OK", "Content-Length: 5\r\n", false, LENGTH],
    ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\n", false, CHUNKED],
    ["HTTP/1.1 200 OK", "", false, UNTIL_CLOSE],
    ["HTTP/1.0 200", "", false, UNTIL_CLOSE],
    ["HTTP/1.1 200 ", "Content-Length: 5\r\n", true, NO_BODY],
    ["HTTP/1.1 204 No Content", "", false, NO_BODY],
    ["HTTP/1.1 304 Not Modified", "Content-Length: 5\r\n", false, NO_BODY],
    ["HTTP/1.1 103 Early Hints", "Link: x\r\n", false, NO_BODY],
  ])("%s with %j (HEAD: %s) has its framing", (line, fields, head, framing) => {
    const { fault, parser } = response(`${line}\r\n${fields}\r\n`, head);
    expect([fault, parser.framing]).toEqual(["", framing]);
  });

  test.each([
    ["both framings", "HTTP/1.1 200 OK", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"],
    ["two lengths", "HTTP/1.1 200 OK", "Content-Length: 5\r\nContent-Length: 6\r\n"],
    ["chunks in HTTP/1.0", "HTTP/1.0 200 OK", "Transfer-Encoding: chunked\r\n"],
    ["chunks in 204", "HTTP/1.1 204 No Content", "Transfer-Encoding: chunked\r\n"],
    ["a status of two digits", "HTTP/1.1 20 OK", ""],
    ["a status of four digits", "HTTP/1.1 2000 OK", ""],
    ["a status out of range", "HTTP/1.1 099 X", ""],
    ["another protocol", "HTTP/2 200 OK", ""],
    ["a folded field", "HTTP/1.1 200 OK", "A: b\r\n c\r\n"],
  ])("is refused for %s", (_name, line, fields) => {
    expect(response(`${line}\r\n${fields}\r\n`).fault).not.toBe("");
  });
});

test("a head that is not whole is not made whole by what lies behind its end", () => {
  const head = Buffer.from("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", "latin1");
  const answer = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n", "latin1");
  const parser = new HeadParser();
  const stale = (bytes: Buffer, end: number) => Buffer.concat([bytes.subarray(0, end), bytes.subarray(end), bytes]);
  for (let end = 0; end <= head.length; end++) {
    const fault = parser.parseRequest(stale(head, end), 0, end);
    expect([end, fault === ""]).toEqual([end, end === head.length]);
  }
  expect(parser.headEnd).toBe(head.length);
  for (let end = 0; end <= answer.length; end++) {
    const fault = parser.parseResponse(stale(answer, end), 0, end, false);
    expect([end, fault === ""]).toEqual([end, end === answer.length]);
  }
});

test("a head ends at its empty line, whatever follows", () => {
  const head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  const bytes = Buffer.from(`${head}GET /next HTTP/1.1\r\nHost: h\r\n\r\n`, "latin1");
  const parser = new HeadParser();
  expect(parser.parseRequest(bytes, 0, bytes.length)).toBe("");
  expect(parser.headEnd).toBe(head.length);
});
