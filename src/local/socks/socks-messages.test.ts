import { isIPv6 } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readGreeting, readLogin, readRequest, replyMessage } from "./socks-messages.ts";

describe("a message is read once it is whole, and what is behind it is left", () => {
  const cases = {
    "a greeting": [readGreeting, [5, 2, 0, 2], [0, 2]],
    "a greeting without methods": [readGreeting, [5, 0], []],
    "a login": [readLogin, [1, 3, 97, 46, 98, 2, 120, 121], "a.b"],
    "a login without password": [readLogin, [1, 1, 97, 0], "a"],
    "a login without anything": [readLogin, [1, 0, 0], ""],
    "an IPv4 request": [readRequest, [5, 1, 0, 1, 127, 3, 0, 1, 0, 80], { command: 1, host: "127.3.0.1", port: 80 }],
    "a name's request": [readRequest, [5, 1, 0, 3, 3, 97, 46, 98, 31, 144], { command: 1, host: "a.b", port: 8080 }],
    "an IPv6 request": [
      readRequest,
      [5, 3, 0, 4, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255],
      { command: 3, host: "fd00:0:0:0:0:0:0:1", port: 65_535 },
    ],
  } as const;
  test.each(Object.entries(cases))("%s", (_, [read, bytes, value]) => {
    const whole = Buffer.from(bytes);
    for (let length = 0; length < whole.length; length++) expect(read(whole.subarray(0, length))).toBeUndefined();
    for (const rest of [[], [1], [5, 5, 5]])
      expect(read(Buffer.concat([whole, Buffer.from(rest)]))).toEqual({ value, bytes: whole.length });
  });
});

test("another version is malformed at its first byte", () => {
  expect(readGreeting(Buffer.from([4]))).toBe("malformed");
  expect(readGreeting(Buffer.from("GET / HTTP/1.1"))).toBe("malformed");
  expect(readLogin(Buffer.from([5]))).toBe("malformed");
  expect(readRequest(Buffer.from([4]))).toBe("malformed");
});

test("an unknown address type has no host", () => {
  expect(readRequest(Buffer.from([5, 1, 0, 2]))).toMatchObject({ value: { host: undefined } });
});

test("random bytes are read, waited for or malformed", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(readGreeting, readLogin, readRequest),
      fc.uint8Array({ maxLength: 600 }),
      (read, bytes) => {
        const result = read(Buffer.from(bytes));
        if (result === undefined || result === "malformed") return;
        expect(result.bytes).toBeLessThanOrEqual(bytes.length);
      },
    ),
  );
});

test("a reply says the address of the call that stands", () => {
  expect([...replyMessage(0, "127.1.0.4", 258)]).toEqual([5, 0, 0, 1, 127, 1, 0, 4, 1, 2]);
  expect([...replyMessage(5)]).toEqual([5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
  expect([...replyMessage(0, "::1", 1)]).toEqual([5, 0, 0, 4, ...Array(15).fill(0), 1, 0, 1]);
  expect([...replyMessage(0, "fe80::1:2%lo", 0)].slice(4, 20)).toEqual([0xfe, 0x80, ...Array(10).fill(0), 0, 1, 0, 2]);
  expect([...replyMessage(0, "::ffff:127.0.0.1", 0)].slice(14, 20)).toEqual([0xff, 0xff, 127, 0, 0, 1]);
});

test("every IPv6 address of a reply reads as itself", () => {
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      fc.pre(isIPv6(address));
      const reply = replyMessage(0, address, 7);
      // A reply has the form of a request (RFC 1928 §4 and §6).
      const read = readRequest(reply);
      const canonical = (text: string) => new URL(`http://[${text}]`).hostname;
      expect(read).toMatchObject({ value: { port: 7 } });
      const host = read !== undefined && read !== "malformed" ? (read.value.host as string) : "";
      expect(canonical(host)).toBe(canonical(address));
    }),
  );
});
