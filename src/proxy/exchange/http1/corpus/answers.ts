/** Answers of endpoints: RFC 9112 §4, §6.3, §9; RFC 9110 §6.4, §7.6.1, §7.8, §8.6, §15. */
import { type AnswerCase, answers, answersLast, badAnswer, CHUNKED, failingAnswer, get, head, ok, to } from "./case.ts";

const LENGTH = "Content-Length: 2";
const status = (name: string, line: string): AnswerCase => answers(name, `${head(line, LENGTH)}ok`);
const badLine = (name: string, line: string): AnswerCase => badAnswer(name, `${head(line, LENGTH)}ok`);
const bad = (name: string, ...fields: readonly string[]): AnswerCase => badAnswer(name, `${ok(...fields)}ok`);
const loses = (name: string, ...fields: readonly string[]): AnswerCase =>
  answers(name, `${ok("A: 1", ...fields, LENGTH)}ok`, `${ok("A: 1", LENGTH)}ok`);
const HEAD = head("HEAD / HTTP/1.1", "Host: h");
const KEPT_10 = head("GET / HTTP/1.0", "Host: h", "Connection: keep-alive");
const HEAD_10 = head("HEAD / HTTP/1.0", "Host: h", "Connection: keep-alive");
const ONCE_10 = head("GET / HTTP/1.0", "Host: h");
const UPGRADE = get("Connection: Upgrade", "Upgrade: websocket");

/** To a caller of HTTP/1.0 that wants no other: its connection ends with the answer. */
function toOnce(name: string, sent: string, answer: string, reuses: boolean): AnswerCase {
  return {
    name,
    to: ONCE_10,
    sent,
    after: reuses ? "waits" : "ends",
    gives: { kind: "passes", answer, keeps: false, reuses },
  };
}

export const ANSWERS: readonly AnswerCase[] = [
  status("a plain answer", "HTTP/1.1 200 OK"),
  status("a status that nobody knows", "HTTP/1.1 299 Odd"),
  status("a status at the end of the range", "HTTP/1.1 599 Odd"),
  status("a reason with bytes beyond ASCII, and tabs", "HTTP/1.1 200 \xe9t\xe9\tx  y "),
  status("an empty reason", "HTTP/1.1 200 "),
  status("205, by its length", "HTTP/1.1 205 Reset Content"),
  answers(
    "no space before an absent reason, which is put there",
    `${head("HTTP/1.1 200", LENGTH)}ok`,
    `${head("HTTP/1.1 200 ", LENGTH)}ok`,
  ),
  answersLast("HTTP/1.0, whose connection ends", `${head("HTTP/1.0 200 OK", LENGTH)}ok`, `${ok(LENGTH)}ok`),
  answers(
    "HTTP/1.0 with keep-alive",
    `${head("HTTP/1.0 200 OK", "Connection: keep-alive", LENGTH)}ok`,
    `${ok(LENGTH)}ok`,
  ),
  answers(
    "fields in their order, case and spacing",
    `${ok("x-B:1", "X-a: \t2 ", "X-B:", "Set-Cookie: a", "Set-Cookie: b", LENGTH)}ok`,
  ),
  answers("Via, Date, Server and Age", `${ok("Via: 1.0 x", "Date: y", "Server: z", "Age: 1", LENGTH)}ok`),
  answers("bytes beyond ASCII", `${ok("A: \xe9\xa0", LENGTH)}\xff\x00`),
  answers("a long content", `${ok("Content-Length: 200000")}${"x".repeat(200_000)}`),
  answers("a length of nothing", ok("Content-Length: 0")),
  answersLast("an end by close, in chunks", ok(), `${ok(CHUNKED)}0\r\n\r\n`, "ends"),
  answersLast("more than it announced, without the rest", `${ok(LENGTH)}okHTTP/1.1 200 OK\r\n\r\n`, `${ok(LENGTH)}ok`),
  answersLast(
    "more than the last chunk, without the rest",
    `${ok(CHUNKED)}0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n`,
    `${ok(CHUNKED)}0\r\n\r\n`,
  ),
  answersLast("close", `${ok("Connection: close", LENGTH)}ok`, `${ok(LENGTH)}ok`),
  answersLast("close in another case, among others", `${ok("Connection: x-a, CLOSE", LENGTH)}ok`, `${ok(LENGTH)}ok`),

  loses("Keep-Alive", "Connection: keep-alive", "Keep-Alive: timeout=5"),
  loses("Proxy-Connection", "Proxy-Connection: keep-alive"),
  loses("a field that Connection names", "Connection: X-Hop", "x-hop: 1"),
  loses("an Upgrade that nobody asked for", "Connection: Upgrade", "Upgrade: h2c"),
  answers(
    "426 with what it would take",
    head("HTTP/1.1 426 Upgrade Required", "Upgrade: TLS/1.0", "Connection: Upgrade", "Content-Length: 0"),
    head("HTTP/1.1 426 Upgrade Required", "Upgrade: TLS/1.0", "Content-Length: 0", "Connection: Upgrade"),
  ),
  answers(
    "trailers but those that Connection names",
    `${ok("Connection: X-Hop", CHUNKED)}0\r\nX-Hop: 1\r\nX-End: 2\r\n\r\n`,
    `${ok(CHUNKED)}0\r\nX-End: 2\r\n\r\n`,
  ),

  answers("100 and the answer", `${head("HTTP/1.1 100 Continue")}${ok(LENGTH)}ok`),
  answers(
    "103 with its fields, twice, and the answer",
    `${head("HTTP/1.1 103 Early Hints", "Link: x")}${head("HTTP/1.1 103 Early Hints", "Link: y")}${ok(LENGTH)}ok`,
  ),
  answers("a 1xx that nobody knows", `${head("HTTP/1.1 199 Odd")}${ok(LENGTH)}ok`),
  answers(
    "a 1xx with a length, without that",
    `${head("HTTP/1.1 103 Early Hints", "Content-Length: 5")}${ok(LENGTH)}ok`,
    `${head("HTTP/1.1 103 Early Hints")}${ok(LENGTH)}ok`,
  ),
  to(
    KEPT_10,
    answers(
      "no 1xx to HTTP/1.0",
      `${head("HTTP/1.1 103 Early Hints")}${ok(LENGTH)}ok`,
      `${ok(LENGTH, "Connection: keep-alive")}ok`,
    ),
  ),
  answers("204", head("HTTP/1.1 204 No Content")),
  answers(
    "204 with a length, without that",
    head("HTTP/1.1 204 No Content", "Content-Length: 0"),
    head("HTTP/1.1 204 No Content"),
  ),
  answersLast(
    "204 with content, without that",
    `${head("HTTP/1.1 204 No Content", LENGTH)}ok`,
    head("HTTP/1.1 204 No Content"),
  ),
  answers("304 with the length that it would have", head("HTTP/1.1 304 Not Modified", "Content-Length: 7")),
  answers("304 with the coding that it would have", head("HTTP/1.1 304 Not Modified", CHUNKED)),
  answersLast(
    "304 with content, without that",
    `${head("HTTP/1.1 304 Not Modified", LENGTH)}ok`,
    head("HTTP/1.1 304 Not Modified", LENGTH),
  ),
  to(HEAD, answers("a length to HEAD", ok("Content-Length: 7"))),
  to(HEAD, answers("a coding to HEAD", ok(CHUNKED))),
  to(HEAD, answers("neither to HEAD", ok())),
  to(HEAD, answersLast("content to HEAD, without that", `${ok(LENGTH)}ok`, ok(LENGTH))),
  to(HEAD, badAnswer("both framings to HEAD", ok(LENGTH, CHUNKED))),
  to(HEAD_10, answers("a coding to HEAD of HTTP/1.0, without that", ok(CHUNKED), ok("Connection: keep-alive"))),
  to(
    KEPT_10,
    answers(
      "304 to HTTP/1.0, without its coding",
      head("HTTP/1.1 304 Not Modified", CHUNKED),
      head("HTTP/1.1 304 Not Modified", "Connection: keep-alive"),
    ),
  ),
  to(
    KEPT_10,
    answers("a length to HTTP/1.0, kept alive", `${ok(LENGTH)}ok`, `${ok(LENGTH, "Connection: keep-alive")}ok`),
  ),
  toOnce("a length to HTTP/1.0", `${ok(LENGTH)}ok`, `${ok(LENGTH, "Connection: close")}ok`, false),
  toOnce(
    "chunks to HTTP/1.0, by close",
    `${ok(CHUNKED)}2\r\nok\r\n0\r\nX-T: 1\r\n\r\n`,
    `${ok("Connection: close")}ok`,
    false,
  ),
  toOnce("an end by close to HTTP/1.0", `${ok()}ok`, `${ok("Connection: close")}ok`, false),

  badLine("another protocol", "SSH-2.0-OpenSSH"),
  badLine("HTTP/2 by number", "HTTP/2 200 OK"),
  badLine("HTTP/1.2", "HTTP/1.2 200 OK"),
  badLine("HTTP/2.0", "HTTP/2.0 200 OK"),
  badLine("a lower-case version", "http/1.1 200 OK"),
  badLine("ICY", "ICY 200 OK"),
  badLine("a status of two digits", "HTTP/1.1 20 OK"),
  badLine("a status of four digits", "HTTP/1.1 2000 OK"),
  badLine("a status with a sign", "HTTP/1.1 +20 OK"),
  badLine("a status that is no number", "HTTP/1.1 2x0 OK"),
  badLine("a status below the range", "HTTP/1.1 099 X"),
  badLine("a status above the range", "HTTP/1.1 600 X"),
  badLine("no status", "HTTP/1.1 "),
  badLine("two spaces before the status", "HTTP/1.1  200 OK"),
  badLine("a tab before the status", "HTTP/1.1\t200 OK"),
  badLine("a tab after the status", "HTTP/1.1 200\tOK"),
  badLine("a NUL in the reason", "HTTP/1.1 200 O\0K"),
  badLine("a bare CR in the reason", "HTTP/1.1 200 O\rK"),
  badLine("a bare LF in the reason", "HTTP/1.1 200 O\nK"),
  badLine("a folded status line", "HTTP/1.1 200 OK\r\n x"),
  badAnswer("an empty line before it", `\r\n${ok(LENGTH)}ok`),
  badAnswer("bare LFs throughout", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
  badAnswer("an end of the head with a bare LF", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok"),
  badAnswer("HTTP/0.9", "hello", "ends"),
  badAnswer("nothing", "", "ends"),
  badAnswer("nothing, and a reset", "", "resets"),
  badAnswer("half a head and the end", "HTTP/1.1 200 OK\r\nConte", "ends"),
  badAnswer("a head without its empty line and the end", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "ends"),
  badAnswer("half a head and a reset", "HTTP/1.1 200 OK\r\nConte", "resets"),
  badAnswer("a head of more than 64 KiB", ok(`A: ${"a".repeat(70_000)}`, "Content-Length: 0")),
  badAnswer("201 fields", ok(...Array.from({ length: 200 }, () => "A: b"), "Content-Length: 0")),

  bad("a length and chunks", LENGTH, CHUNKED),
  bad("chunks and a length", CHUNKED, LENGTH),
  bad("two lengths", LENGTH, "Content-Length: 3"),
  bad("the same length twice", LENGTH, LENGTH),
  bad("a list of lengths", "Content-Length: 2, 2"),
  bad("a length with a sign", "Content-Length: +2"),
  bad("a negative length", "Content-Length: -2"),
  bad("a hexadecimal length", "Content-Length: 0x2"),
  bad("an empty length", "Content-Length:"),
  bad("a length beyond 15 digits", "Content-Length: 9999999999999999"),
  bad("another coding", "Transfer-Encoding: gzip"),
  bad("another coding before chunked", "Transfer-Encoding: gzip, chunked"),
  bad("identity", "Transfer-Encoding: identity"),
  bad("two codings", CHUNKED, CHUNKED),
  bad("a coding with a vertical tab", "Transfer-Encoding: \x0bchunked"),
  bad("a space before a colon", "Content-Length : 2"),
  bad("a fold", "A: b\r\n c", LENGTH),
  bad("a fold of Content-Length", "Content-Length:\r\n 2"),
  bad("a bare LF in a value", "A: b\nc", LENGTH),
  bad("a bare CR in a value", "A: b\rc", LENGTH),
  bad("a NUL in a value", "A: b\0c", LENGTH),
  bad("no colon", "A", LENGTH),
  bad("an empty name", ": b", LENGTH),
  bad("a name that is no token", "A(b): c", LENGTH),
  bad("Connection that names Content-Length", "Connection: content-length", LENGTH),
  bad("Connection that names Transfer-Encoding", "Connection: Transfer-Encoding", LENGTH),
  bad("Connection that is no list of tokens", "Connection: a b", LENGTH),
  badAnswer("chunks of HTTP/1.0", `${head("HTTP/1.0 200 OK", CHUNKED)}0\r\n\r\n`),
  badAnswer("chunks of 204", `${head("HTTP/1.1 204 No Content", CHUNKED)}0\r\n\r\n`),
  failingAnswer("chunks of 103", `${head("HTTP/1.1 103 Early Hints", CHUNKED)}${ok(LENGTH)}ok`),
  badAnswer(
    "a switch that nobody asked for",
    head("HTTP/1.1 101 Switching Protocols", "Upgrade: x", "Connection: Upgrade"),
  ),
  to(UPGRADE, badAnswer("a switch that does not say to what", head("HTTP/1.1 101 Switching Protocols"))),
  to(
    UPGRADE,
    badAnswer("a switch with chunks", head("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", CHUNKED)),
  ),
  to(UPGRADE, { ...answersLast("no switch, as any other answer", `${ok(LENGTH)}ok`) }),
  failingAnswer("100 and then nothing", head("HTTP/1.1 100 Continue"), "ends"),

  failingAnswer("an end before its length", `${ok("Content-Length: 10")}hello`, "ends"),
  failingAnswer("a reset before its length", `${ok("Content-Length: 10")}hello`, "resets"),
  failingAnswer("no content at all where a length was told", ok("Content-Length: 10"), "ends"),
  failingAnswer("an end within a chunk", `${ok(CHUNKED)}5\r\nhel`, "ends"),
  failingAnswer("an end after a chunk", `${ok(CHUNKED)}5\r\nhello\r\n`, "ends"),
  failingAnswer("an end before the last line's end", `${ok(CHUNKED)}5\r\nhello\r\n0\r\n`, "ends"),
  failingAnswer("an end within a trailer", `${ok(CHUNKED)}5\r\nhello\r\n0\r\nX-A: b\r\n`, "ends"),
  failingAnswer("a reset where the end is by close", `${ok()}hello`, "resets"),
  to(ONCE_10, failingAnswer("an end within a chunk, to HTTP/1.0", `${ok(CHUNKED)}5\r\nhel`, "ends")),
  to(ONCE_10, failingAnswer("a reset where the end is by close, to HTTP/1.0", `${ok()}hello`, "resets")),
];
