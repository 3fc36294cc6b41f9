import fc from "fast-check";
import { expect, test } from "vitest";
import { KeptContent } from "./kept-content.ts";
import { RequestContent } from "./request-content.ts";

test("whatever its pieces are, content is what was given, though that was overwritten since", () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 9_000 }), { maxLength: 12 });
  fc.assert(
    fc.property(pieces, fc.nat(12), (all, borrowed) => {
      const content = new RequestContent(new KeptContent(1_000_000));
      content.begin();
      const given = all.map((bytes) => Buffer.from(bytes));
      for (const [index, bytes] of given.entries()) {
        if (index === borrowed) {
          content.own();
          for (const earlier of given.slice(0, index)) earlier.fill(0);
        }
        content.add(bytes);
        if (index >= borrowed) bytes.fill(0);
      }
      const expected = Buffer.concat(all);
      expect(Buffer.from(content.joined() ?? [])).toEqual(expected);
    }),
  );
});

test("content in the smallest pieces takes memory of its size", () => {
  const content = new RequestContent(new KeptContent(10_000_000));
  content.begin();
  content.own();
  const before = process.memoryUsage();
  const byte = Buffer.from("x");
  for (let count = 0; count < 100_000; count++) content.add(byte);
  const after = process.memoryUsage();
  expect(content.joined()).toHaveLength(100_000);
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(2_000_000);
});

test("what was sent is given back to the others when it is forgotten, and is no longer repeatable", () => {
  const room = new KeptContent(100);
  const content = new RequestContent(room);
  content.begin();
  content.add(Buffer.alloc(60));
  content.sent(true);
  expect([room.bytes, content.repeatable]).toEqual([60, true]);
  content.own();
  content.add(Buffer.alloc(60));
  content.sent(true);
  expect([room.bytes, content.repeatable, content.joined()]).toEqual([0, false, undefined]);
});
