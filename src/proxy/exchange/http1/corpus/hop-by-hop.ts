/** Fields of one connection: RFC 9110 §7.6.1, §7.8, §10.1.1, §10.1.4; RFC 9112 §9.3, §9.6. */
import { CHUNKED, get, head, passes, passesLast, post, type RequestCase, refused } from "./case.ts";

const loses = (name: string, ...fields: readonly string[]): RequestCase =>
  passes(name, get("A: 1", ...fields, "B: 2"), get("A: 1", "B: 2"));
const mayNotName = (field: string): RequestCase =>
  refused(`Connection that names ${field}`, get(`Connection: ${field}`, ...(field === "Host" ? [] : [`${field}: 1`])));

export const HOP_BY_HOP: readonly RequestCase[] = [
  loses("Connection that is empty", "Connection:"),
  loses("Connection of commas", "Connection: , ,,"),
  loses("keep-alive", "Connection: keep-alive"),
  loses("Keep-Alive", "Keep-Alive: timeout=5"),
  loses("Proxy-Connection", "Proxy-Connection: keep-alive"),
  loses("Upgrade that Connection does not name", "Upgrade: websocket"),
  loses("an upgrade to h2c", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAA"),
  loses("an upgrade to h2c on a line before another's", "Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"),
  loses("an upgrade to h2c on a line after another's", "Connection: Upgrade", "Upgrade: websocket", "Upgrade: H2C"),
  loses("an upgrade to h2c among others", "Connection: Upgrade", "Upgrade: websocket, h2c"),
  loses("Connection: upgrade without Upgrade", "Connection: upgrade"),
  loses("HTTP2-Settings by itself", "HTTP2-Settings: AAA"),
  loses("TE that asks for no trailers", "TE: gzip;q=1.0"),
  loses("a field that Connection names", "Connection: X-Hop", "X-Hop: 1"),
  loses(
    "a field that Connection names in another case, each of its lines",
    "x-hop: 1",
    "Connection: X-HOP",
    "X-Hop: 2",
  ),
  loses(
    "fields that several Connection lines name",
    "Connection: X-A",
    "X-A: 1",
    "connection: keep-alive , X-B",
    "X-B: 2",
  ),
  loses("a field that Connection names and that is not there", "Connection: X-Gone"),
  loses("a field that a later Connection names", "X-Late: 1", "Connection: x-late"),
  loses("a forged X-Forwarded-Server", "X-Forwarded-Server: forged"),
  passes("TE that asks for trailers", get("TE: trailers"), get("TE: trailers", "Connection: TE")),
  passes(
    "TE that asks for trailers among others",
    get("TE: deflate, trailers;q=0.5"),
    get("TE: trailers", "Connection: TE"),
  ),
  passes(
    "an upgrade",
    get("Upgrade: websocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Key: x"),
    get("Upgrade: websocket", "Sec-WebSocket-Key: x", "Connection: Upgrade"),
  ),
  passes(
    "an upgrade with an empty body",
    post("Connection: Upgrade", "Upgrade: SPDY/3.1", "Content-Length: 0"),
    post("Upgrade: SPDY/3.1", "Content-Length: 0", "Connection: Upgrade"),
  ),
  passes(
    "an upgrade with a body, as a request without upgrade",
    `${post("Connection: Upgrade", "Upgrade: x", "Content-Length: 2")}hi`,
    `${post("Content-Length: 2")}hi`,
  ),
  passes(
    "an upgrade with chunks, as a request without upgrade",
    `${post("Connection: Upgrade", "Upgrade: x", CHUNKED)}0\r\n\r\n`,
    `${post(CHUNKED)}0\r\n\r\n`,
  ),
  passesLast(
    "an upgrade of HTTP/1.0, as a request without upgrade",
    head("GET / HTTP/1.0", "Host: h", "Connection: Upgrade", "Upgrade: x"),
    get(),
  ),
  passes("Expect", `${post("Expect: 100-continue", "Content-Length: 2")}hi`),
  passes("an expectation that nobody knows", get("Expect: x")),
  passesLast(
    "no Expect of HTTP/1.0, which does not know it",
    `${head("POST / HTTP/1.0", "Host: h", "Expect: 100-continue", "Content-Length: 2")}hi`,
    `${post("Content-Length: 2")}hi`,
  ),
  passesLast("close", get("Connection: close"), get()),
  passesLast("close in another case, among others", get("Connection: X-A, CLOSE"), get()),
  passesLast("close and keep-alive", get("Connection: keep-alive", "Connection: close"), get()),
  passesLast("close, and nothing of the request behind it", get("Connection: close") + get("X-Second: 1"), get()),
  passes("pipelined requests in their order", [1, 2, 3].map((n) => head(`GET /${n} HTTP/1.1`, "Host: h")).join("")),
  passes("pipelined requests with bodies", `${post("Content-Length: 2")}hi${post(CHUNKED)}1\r\nx\r\n0\r\n\r\n${get()}`),
  passes(
    "trailers but those that Connection names",
    `${post("Connection: X-Hop", CHUNKED)}0\r\nX-Hop: 1\r\nX-End: 2\r\n\r\n`,
    `${post(CHUNKED)}0\r\nX-End: 2\r\n\r\n`,
  ),
  passes("Trailer", `${post("Trailer: X-End", CHUNKED)}0\r\nX-End: 2\r\n\r\n`),

  mayNotName("Host"),
  mayNotName("Content-Length"),
  mayNotName("Transfer-Encoding"),
  mayNotName("Expect"),
  mayNotName("Authorization"),
  mayNotName("Cookie"),
  mayNotName("X-Forwarded-For"),
  mayNotName("X-Forwarded-Host"),
  mayNotName("X-Forwarded-Proto"),
  mayNotName("X-Forwarded-Port"),
  mayNotName("X-Forwarded-Server"),
  mayNotName("X-Real-Ip"),
  refused(
    "Connection that names Host in another case, late",
    get("Connection: close", "Connection: keep-alive,  hOsT"),
  ),
  refused("Connection of two words", get("Connection: a b")),
  refused("Connection in quotes", get('Connection: "close"')),
  refused("Connection with a parameter", get("Connection: close;x=1")),
  refused("Connection with bytes beyond ASCII", get("Connection: \xe9")),
];
