/** Messages for properties: good ones of every form, and what becomes of them when bytes are put in, left out or repeated. */
import fc from "fast-check";

const ALL = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));

/** Text of the bytes that fit. */
function bytes(fit: RegExp, minLength: number, maxLength: number): fc.Arbitrary<string> {
  const some = fc.constantFrom(...ALL.filter((byte) => fit.test(byte)));
  return fc.array(some, { minLength, maxLength }).map((chosen) => chosen.join(""));
}

const value = bytes(/[\t -~\x80-\xff]/, 0, 14);
const name = bytes(/[!#$%&'*+.^_`|~0-9A-Za-z-]/, 1, 8).map((each) => `X-${each}`);
const space = fc.constantFrom("", " ", "  ", "\t", " \t ");
const line = fc.tuple(name, space, value, space).map(([key, before, text, after]) => `${key}:${before}${text}${after}`);

const common = fc.constantFrom(
  "Connection: keep-alive",
  "connection: X-a, X-b",
  "Connection: close",
  "X-a: 1",
  "X-B: 2",
  "Keep-Alive: 5",
  "Proxy-Connection: x",
  "Upgrade: websocket",
  "Connection: upgrade",
  "Via: 1.1 v",
  "Accept:",
);
const ofRequests = fc.constantFrom(
  "TE: trailers",
  "TE: gzip, trailers ;q=0",
  "Expect: 100-continue",
  "HTTP2-Settings: A",
  "Upgrade: h2c",
  "X-Forwarded-Server: forged",
  "Max-Forwards: 3",
  "Cookie: a=b",
);
const ofAnswers = fc.constantFrom("Set-Cookie: a", "Set-Cookie: b", "Date: d", "Trailer: X-a", "Age: 1");

const data = bytes(/[\s\S]/, 0, 30);
const extension = fc.constantFrom("", ";a", ";a=b", ';a="b;\\"c"', ";a;b=c");
const trailer = fc.oneof(line, fc.constantFrom("X-a: t", "x-B: t", "ETag: e"));
const chunked = fc
  .tuple(fc.array(fc.tuple(data, extension, fc.boolean()), { maxLength: 4 }), fc.array(trailer, { maxLength: 3 }))
  .map(([chunks, trailers]) => {
    const parts = chunks
      .filter(([text]) => text !== "")
      .map(([text, ext, upper]) => {
        const size = text.length.toString(16);
        return `${upper ? size.toUpperCase() : `0${size}`}${ext}\r\n${text}\r\n`;
      });
    return `${parts.join("")}0\r\n${trailers.map((each) => `${each}\r\n`).join("")}\r\n`;
  });

/** A framing field, or none, and content that goes with it. */
const framed = fc.oneof(
  fc.constant({ field: undefined, content: "" }),
  chunked.map((content) => ({ field: "Transfer-Encoding: chunked", content })),
  data.map((content) => ({ field: `Content-Length: ${content.length}`, content })),
  chunked.map((content) => ({ field: "Transfer-Encoding: chunked", content })),
);

function message(
  first: string,
  fields: readonly string[],
  framing: { field: string | undefined; content: string },
  at: number,
) {
  const lines = [...fields];
  if (framing.field !== undefined) lines.splice(at % (lines.length + 1), 0, framing.field);
  return [first, ...lines, "", framing.content].join("\r\n");
}

const method = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("GET", "POST", "HEAD", "OPTIONS", "PUT") },
  { weight: 1, arbitrary: fc.constantFrom("get", "M-SEARCH", "TRACE", "CONNECT") },
);
const target = fc.oneof(
  { weight: 4, arbitrary: bytes(/[!"$-~]/, 0, 12).map((path) => `/${path}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("*", "http://real/p", "http://real:81?q", "HTTPS://[::1]", "http://u@r/", "real:80"),
  },
);
const host = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("Host: h", "hOST:\th:80", "Host: [::1]:8") },
  { weight: 1, arbitrary: fc.constantFrom("Host:", "Host: h:x", "Host: a b", "Host: %4") },
);
const version = fc.oneof(
  { weight: 8, arbitrary: fc.constant("1.1") },
  { weight: 1, arbitrary: fc.constantFrom("1.0", "1.2", "2.0") },
);

export const goodRequest = fc
  .tuple(
    method,
    target,
    version,
    host,
    fc.array(fc.oneof(line, common, ofRequests), { maxLength: 6 }),
    framed,
    fc.nat(9),
  )
  .map(([verb, uri, number, hostLine, fields, framing, at]) => {
    const lines = [...fields];
    lines.splice(at % (lines.length + 1), 0, hostLine);
    return message(`${verb} ${uri} HTTP/${number}`, lines, framing, at);
  });

const status = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("200 OK", "404 Not Found", "299 ", "500") },
  { weight: 1, arbitrary: fc.constantFrom("204 No Content", "304 Not Modified", "426 Upgrade Required", "101 Switch") },
);
const interim = fc.constantFrom(
  "",
  "",
  "",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n",
);

export const goodAnswer = fc
  .tuple(interim, version, status, fc.array(fc.oneof(line, common, ofAnswers), { maxLength: 6 }), framed, fc.nat(9))
  .map(
    ([before, number, code, fields, framing, at]) => before + message(`HTTP/${number} ${code}`, fields, framing, at),
  );

const HOSTILE = [
  "\r",
  "\n",
  "\r\n",
  "\n\n",
  "\r\n\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  '"',
  "\\",
  "\x0b",
  "\xa0",
  "\xff",
].concat(
  ["0", "5", "f", "-", "+", "0x", "chunked", "/", "@", "#", "\r\n ", "\r\n\t", "HTTP/1.1", "1.0"],
  ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n", "Host: x\r\n"],
  ["Connection: host\r\n", "Content-Length: 0\r\n", "\r\nContent-Length: 7", "GET /evil HTTP/1.1\r\nHost: e\r\n\r\n"],
);
const edit = fc.record({
  at: fc.nat(),
  length: fc.nat(6),
  text: fc.constantFrom("", ...HOSTILE),
  twice: fc.boolean(),
  /** Behind the head, which breaks more easily. */
  inContent: fc.boolean(),
});

/** The message with pieces of it replaced, left out or repeated. */
export function mutated(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(text, fc.array(edit, { minLength: 1, maxLength: 2 })).map(([whole, edits]) => {
    let changed = whole;
    for (const { at, length, text: put, twice, inContent } of edits) {
      const base = inContent ? changed.indexOf("\r\n\r\n") + 4 : 0;
      const from = base + (at % (changed.length - base + 1));
      const piece = changed.slice(from, from + length);
      changed = changed.slice(0, from) + (twice ? piece + put + piece : put) + changed.slice(from + length);
    }
    return changed;
  });
}

/** Where to cut a text, as shares of its length. */
export const cutPoints = fc.array(fc.nat(10_000), { maxLength: 12 });

export function cutAt(text: string, points: readonly number[]): string[] {
  const places = [...new Set(points.map((point) => Math.floor((point * text.length) / 10_000)))].sort((a, b) => a - b);
  const ends = [...places, text.length];
  return ends.map((end, index) => text.slice(index === 0 ? 0 : ends[index - 1], end)).filter((piece) => piece !== "");
}
