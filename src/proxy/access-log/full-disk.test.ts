import fs from "node:fs";
import { rename } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ManualClock } from "../../model/testkit/manual-clock.ts";
import type { LineSink } from "./line-sink.ts";
import { SinkFolder, until, write } from "./testkit/sink-folder.ts";

let at: SinkFolder;
let file: string;
let clock: ManualClock;
beforeEach(async () => {
  at = await SinkFolder.make();
  ({ file, clock } = at);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await at.remove();
});

const open = (path = file, shared = false) => at.open(path, shared);
const content = (path = file) => at.content(path);

describe("a disk that is full within a line", () => {
  /** @param capacity for bytes of a file. @returns what somebody does who makes room, and whether it was full */
  function disk(capacity: number, beforeFull = () => {}): { makeRoom: () => void; full: () => boolean } {
    let most = capacity;
    let wasFull = false;
    const real = fs.write;
    const limited = (fd: number, bytes: Buffer, from: number, _length: null, _at: null, done: OnWritten) => {
      const length = Math.min(most - fs.fstatSync(fd).size, bytes.length - from);
      if (length > 0) {
        real(fd, bytes, from, length, null, done);
        return;
      }
      beforeFull();
      wasFull = true;
      done(Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" }), 0);
    };
    vi.spyOn(fs, "write").mockImplementation(limited as unknown as typeof fs.write);
    return {
      makeRoom: () => {
        most = Number.POSITIVE_INFINITY;
      },
      full: () => wasFull,
    };
  }
  type OnWritten = (error: NodeJS.ErrnoException | null, count: number) => void;

  /** "one" and "twotwo", of which the disk takes six bytes. @param left what the file has then */
  async function writeBoth(sink: LineSink, full: () => boolean, left = "one\n"): Promise<void> {
    write(sink, "one\n");
    write(sink, "twotwo\n");
    clock.advance(50);
    await until(() => full() && content() === left);
  }

  test("has whole lines, and the next one when there is room", async () => {
    const { makeRoom, full } = disk(6);
    const sink = open();
    await until(() => fs.existsSync(file));
    await writeBoth(sink, full);
    makeRoom();
    clock.advance(1_000);
    await until(() => content().length > 4);
    expect(content()).toBe("one\ntwotwo\n");
  });

  test("has whole lines where its file is copied and emptied, or moved and reopened", async () => {
    const { makeRoom, full } = disk(6);
    const sink = open();
    await writeBoth(sink, full);
    fs.truncateSync(file);
    makeRoom();
    clock.advance(1_000);
    await until(() => content() !== "");
    expect(content()).toBe("twotwo\n");
    await rename(file, `${file}.1`);
    sink.reopen();
    await until(() => fs.existsSync(file));
    write(sink, "three\n");
    await sink.close();
    expect([content(`${file}.1`), content()]).toEqual(["twotwo\n", "three\n"]);
  });

  test("has whole lines in the new file, and in the old one, where it is reopened meanwhile", async () => {
    const { makeRoom, full } = disk(6);
    const sink = open();
    await writeBoth(sink, full);
    await rename(file, `${file}.1`);
    makeRoom();
    sink.reopen();
    await sink.close();
    expect([content(`${file}.1`), content()]).toEqual(["one\n", "twotwo\n"]);
  });

  test("keeps the cut line where other processes may write, ends it, and has the whole one after it", async () => {
    const { makeRoom, full } = disk(6);
    const sink = open(file, true);
    await writeBoth(sink, full, "one\ntw");
    makeRoom();
    clock.advance(1_000);
    await sink.close();
    expect(content()).toBe("one\ntw\ntwotwo\n");
  });

  test("takes nothing away that another process wrote in spite of all", async () => {
    const { makeRoom, full } = disk(6, () => fs.appendFileSync(file, "other\n"));
    const sink = open();
    await writeBoth(sink, full, "one\ntwother\n");
    makeRoom();
    clock.advance(1_000);
    await sink.close();
    expect(content()).toBe("one\ntwother\n\ntwotwo\n");
  });

  test("is said once, however often it takes the beginning of a line again", async () => {
    const { makeRoom, full } = disk(6);
    const sink = open();
    await writeBoth(sink, full);
    for (let second = 0; second < 3; second++) {
      await until(() => clock.pending === 1 && content() === "one\n");
      clock.advance(1_000);
    }
    expect(at.said).toEqual([expect.stringContaining("cannot be written; it is tried again")]);
    await until(() => clock.pending === 1 && content() === "one\n");
    makeRoom();
    clock.advance(1_000);
    await sink.close();
    expect([content(), at.said.slice(1)]).toEqual(["one\ntwotwo\n", [`the access log is written again ${file}`]]);
  });

  test("ends with a whole line, and says how many more there were", async () => {
    const { full } = disk(6);
    const sink = open();
    await writeBoth(sink, full);
    await at.closeOf(sink);
    expect(content()).toBe("one\n");
    expect(at.said.at(-1)).toBe(
      `the access log lost lines: they could not be written before the end ${file} 1 ENOSPC: no space left on device, write`,
    );
  });
});
