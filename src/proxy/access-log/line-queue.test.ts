import fc from "fast-check";
import { expect, test } from "vitest";
import { LineQueue } from "./line-queue.ts";

const anyLine = fc.integer({ min: 0, max: 300 }).map((length) => `${"x".repeat(length)}\n`);

test("what is taken is what was added, in whole lines and pieces no larger than asked, whatever the sizes", () => {
  fc.assert(
    fc.property(fc.array(anyLine), fc.integer({ min: 1, max: 1_000 }), fc.boolean(), (lines, max, asBytes) => {
      const queue = new LineQueue(1_000_000);
      for (const line of lines) expect(asBytes ? queue.addBytes(Buffer.from(line)) : queue.add(line)).toBe(true);
      const all = lines.join("");
      expect(queue.bytes).toBe(all.length);
      let read = "";
      for (let taken = queue.take(max); taken !== undefined; taken = queue.take(max)) {
        const text = taken.toString();
        expect(text.endsWith("\n")).toBe(true);
        if (text.length > max) expect(text.indexOf("\n")).toBe(text.length - 1);
        read += text;
      }
      expect([read, queue.bytes]).toEqual([all, 0]);
    }),
  );
});

test("lines added while others are taken come after them, over many chunks", () => {
  const queue = new LineQueue(10_000_000);
  let added = "";
  let read = "";
  for (let index = 0; index < 3_000; index++) {
    const line = `${index} ${"y".repeat(index % 97)}\n`;
    queue.add(line);
    added += line;
    if (index % 7 === 0) read += queue.take(4_096)?.toString() ?? "";
  }
  for (let taken = queue.take(4_096); taken !== undefined; taken = queue.take(4_096)) read += taken.toString();
  expect(read).toBe(added);
});

test("a line that is longer than a chunk is kept whole", () => {
  const queue = new LineQueue(1_000_000);
  const long = `${"z".repeat(200_000)}\n`;
  for (const line of ["a\n", long, "b\n"]) queue.add(line);
  expect([queue.take(4_096), queue.take(4_096), queue.take(4_096)].map(String)).toEqual(["a\n", long, "b\n"]);
});

test("what does not fit is refused, and there is room again when lines have gone", () => {
  const queue = new LineQueue(10);
  expect([queue.add("12345678\n"), queue.add("9\n"), queue.add("\n")]).toEqual([true, false, true]);
  queue.take(100);
  expect([queue.bytes, queue.add("9\n")]).toEqual([0, true]);
});
