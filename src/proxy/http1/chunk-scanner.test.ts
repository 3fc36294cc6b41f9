import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ChunkScanner } from "./chunk-scanner.ts";

interface Result {
  data: string;
  passed: string;
  trailer: string;
  rest: string;
  state: "done" | "bad" | "open";
}

/** Feeds the pieces one after the other, as a socket would. */
function scan(pieces: readonly string[]): Result {
  const scanner = new ChunkScanner();
  const result: Result = { data: "", passed: "", trailer: "", rest: "", state: "open" };
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, "latin1");
    let at = 0;
    while (at < bytes.length && !scanner.done && !scanner.bad) {
      const from = at;
      at = scanner.scan(bytes, at, bytes.length);
      result.data += bytes.toString("latin1", scanner.spanStart, scanner.spanEnd);
      result.passed += bytes.toString("latin1", from, scanner.passEnd);
    }
    if (scanner.done) result.rest += bytes.toString("latin1", at);
  }
  result.trailer = scanner.done ? scanner.trailer.toString("latin1") : "";
  result.state = scanner.done ? "done" : scanner.bad ? "bad" : "open";
  return result;
}

const cut = (text: string, points: readonly number[]): string[] => {
  const sorted = [...new Set(points.map((point) => point % (text.length + 1)))].sort((a, b) => a - b);
  const pieces: string[] = [];
  let from = 0;
  for (const point of [...sorted, text.length]) {
    if (point > from) pieces.push(text.slice(from, point));
    from = point;
  }
  return pieces;
};

describe("a chunked body", () => {
  test("gives its data, its framing up to the trailer, and leaves what follows", () => {
    expect(scan(["5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\nGET /"])).toEqual({
      data: "hello world",
      passed: "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n",
      trailer: "\r\n",
      rest: "GET /",
      state: "done",
    });
  });

  test("gives its trailer section when that is whole", () => {
    const result = scan(["0\r\nX-Checksum: 1\r\nX-Other: ", "2\r\n\r", "\nrest"]);
    expect(result.trailer).toBe("X-Checksum: 1\r\nX-Other: 2\r\n\r\n");
    expect(result.rest).toBe("rest");
    expect(result.passed).toBe("0\r\n");
  });

  test("reads the same wherever it is cut", () => {
    const chunk = fc.tuple(fc.stringMatching(/^[a-z]{1,20}$/), fc.constantFrom("", ";a", ';a="b c"'));
    const trailer = fc.array(fc.constantFrom("X-A: 1", "ETag: z", "X-Empty:"), { maxLength: 3 });
    fc.assert(
      fc.property(fc.array(chunk), trailer, fc.array(fc.nat(500)), (chunks, fields, points) => {
        const framed = chunks.map(([data, extension]) => `${data.length.toString(16)}${extension}\r\n${data}\r\n`);
        const text = `${framed.join("")}0\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\nNEXT`;
        const whole = scan([text]);
        expect(scan(cut(text, points))).toEqual(whole);
        expect(scan([...text])).toEqual(whole);
        expect(whole.data).toBe(chunks.map(([data]) => data).join(""));
        expect(whole.rest).toBe("NEXT");
      }),
    );
  });

  test.each([
    ["a size that is no number", "x\r\n"],
    ["a prefix of another base", "0x5\r\nhello\r\n0\r\n\r\n"],
    ["a sign", "-5\r\n"],
    ["a space before the size", " 5\r\nhello\r\n"],
    ["a space after the size", "5 \r\nhello\r\n"],
    ["an empty size line", "\r\n"],
    ["a bare LF after the size", "5\nhello\r\n"],
    ["a bare CR in the size line", "5\r5\r\n"],
    ["a bare LF in an extension", "5;a\nhello\r\n"],
    ["a CR in an extension", "5;a\rb\r\n"],
    ["a NUL in an extension", "5;a\0\r\nhello\r\n"],
    ["more data than its size says", "5\r\nhello!\r\n"],
    ["less data than its size says", "5\r\nhell\r\n0\r\n\r\n"],
    ["a bare LF after the data", "5\r\nhello\n0\r\n\r\n"],
    ["a size beyond 48 bits", "fffffffffffffff\r\n"],
    ["a size of many zeros", "00000000000000000005\r\nhello\r\n"],
    ["endless extensions", `5;${"a".repeat(5000)}`],
    ["a Content-Length as trailer", "0\r\nContent-Length: 5\r\n\r\n"],
    ["a Transfer-Encoding as trailer", "0\r\ntransfer-encoding: chunked\r\n\r\n"],
    ["a Host as trailer", "0\r\nHOST: x\r\n\r\n"],
    ["an X-Forwarded-For as trailer", "0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"],
    ["a folded trailer", "0\r\nX-A: 1\r\n 2\r\n\r\n"],
    ["a trailer without colon", "0\r\nX-A\r\n\r\n"],
    ["a trailer with a space before the colon", "0\r\nX-A : 1\r\n\r\n"],
    ["a trailer section beyond 16 KiB", `0\r\nX-A: ${"a".repeat(17 * 1024)}`],
  ])("is bad with %s, in one piece and byte by byte", (_name, text) => {
    expect(scan([text]).state).toBe("bad");
    expect(scan([...text]).state).toBe("bad");
    expect(scan([...text]).passed).toBe(scan([text]).passed);
  });

  test("is not done before its last byte", () => {
    const text = "3\r\nabc\r\n0\r\nX: y\r\n\r\n";
    for (let length = 0; length < text.length; length++) expect(scan([text.slice(0, length)]).state).toBe("open");
    expect(scan([text]).state).toBe("done");
  });
});
