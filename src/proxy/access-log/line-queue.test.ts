import fc from "fast-check";
import { expect, test } from "vitest";
import { LineQueue, linesIn } from "./line-queue.ts";

const anyLine = fc.integer({ min: 0, max: 300 }).map((length) => `${"x".repeat(length)}\n`);
/** A line, in the pieces in which it is written; or how many bytes are taken. */
const anyStep = fc.oneof(
  fc.array(fc.string({ unit: "grapheme-ascii", maxLength: 40 })),
  fc.integer({ min: 1, max: 200 }),
);

const anySize = fc.integer({ min: 1, max: 100 });

function add(queue: LineQueue, ...pieces: string[]): boolean {
  for (const piece of pieces) queue.line.ascii(piece);
  return queue.add();
}

function takeAll(queue: LineQueue, max: number): string {
  let read = "";
  for (let taken = queue.take(max); taken !== undefined; taken = queue.take(max)) read += taken.toString();
  return read;
}

test("what is taken is what was added, in whole lines and pieces no larger than asked, whatever the sizes", () => {
  const anyMax = fc.integer({ min: 1, max: 1_000 });
  fc.assert(
    fc.property(fc.array(anyLine), anyMax, fc.integer({ min: 1, max: 500 }), (lines, max, chunkBytes) => {
      const queue = new LineQueue(1_000_000, chunkBytes);
      for (const line of lines) expect(add(queue, line)).toBe(true);
      const all = lines.join("");
      expect(queue.bytes).toBe(all.length);
      let read = "";
      let count = lines.length;
      expect(queue.countLines()).toBe(count);
      for (let taken = queue.take(max); taken !== undefined; taken = queue.take(max)) {
        const text = taken.toString();
        count -= linesIn(taken, 0, taken.length);
        expect(queue.countLines()).toBe(count);
        expect(text.endsWith("\n")).toBe(true);
        if (text.length > max) expect(text.indexOf("\n")).toBe(text.length - 1);
        read += text;
      }
      expect([read, queue.bytes]).toEqual([all, 0]);
    }),
  );
});

test("lines are the reader's until it takes more, whatever is written or refused meanwhile, and go on in order", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 80 }), anySize, fc.nat({ max: 500 }), (steps, chunkBytes, maxBytes) => {
      const queue = new LineQueue(maxBytes, chunkBytes);
      let [added, read] = ["", ""];
      let held: { bytes: Buffer; text: string } | undefined;
      const take = (max: number) => {
        if (held !== undefined) expect(held.bytes.toString()).toBe(held.text);
        const bytes = queue.take(max);
        held = bytes === undefined ? undefined : { bytes, text: bytes.toString() };
        read += held?.text ?? "";
        return held !== undefined;
      };
      for (const step of steps) {
        if (typeof step === "number") take(step);
        else {
          const pieces = step.map((piece) => piece.replaceAll("\n", "-"));
          const line = `${pieces.join("")}\n`;
          const fits = queue.bytes + line.length <= maxBytes;
          expect(add(queue, ...pieces, "\n")).toBe(fits);
          if (fits) added += line;
        }
      }
      while (take(50));
      expect(read).toBe(added);
    }),
  );
});

test("a line that is longer than a chunk is kept whole", () => {
  const queue = new LineQueue(1_000_000, 100);
  const long = `${"z".repeat(200_000)}\n`;
  for (const line of ["a\n", long, "b\n"]) add(queue, line);
  expect([queue.take(4_096), queue.take(4_096), queue.take(4_096)].map(String)).toEqual(["a\n", long, "b\n"]);
});

test("what does not fit is refused, and there is room again when lines have gone", () => {
  const queue = new LineQueue(10, 100);
  expect([add(queue, "12345678\n"), add(queue, "9\n"), add(queue, "\n")]).toEqual([true, false, true]);
  expect(takeAll(queue, 100)).toBe("12345678\n\n");
  expect([queue.bytes, add(queue, "9\n")]).toEqual([0, true]);
});

test("while lines go as they come, two chunks take turns", () => {
  const queue = new LineQueue(100_000, 10_000);
  const chunks = new Set<ArrayBufferLike>();
  for (let index = 0; index < 100; index++) {
    add(queue, `${"x".repeat(2_999)}\n`);
    const taken = queue.take(10_000);
    if (taken !== undefined) chunks.add(taken.buffer);
  }
  expect(chunks.size).toBe(2);
});
