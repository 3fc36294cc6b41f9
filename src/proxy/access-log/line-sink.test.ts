import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ManualClock } from "../../model/testkit/manual-clock.ts";
import type { LineSink } from "./line-sink.ts";
import { SinkFolder, until, write } from "./testkit/sink-folder.ts";

let at: SinkFolder;
let folder: string;
let file: string;
let clock: ManualClock;
let said: string[];
beforeEach(async () => {
  at = await SinkFolder.make();
  ({ folder, file, clock, said } = at);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await at.remove();
});

const open = (path = file) => at.open(path);
const content = (path = file) => at.content(path);
const closeOf = (sink: LineSink) => at.closeOf(sink);

test("the file is made before there is a line", async () => {
  open();
  await until(() => fs.existsSync(file));
  expect([content(), clock.pending]).toEqual(["", 0]);
});

test("lines are written together after a moment, in their order", async () => {
  const sink = open();
  let before = "";
  // Those that come while others are written, or the file is opened, go at once after that.
  for (write(sink, "one\n"); clock.pending === 0; write(sink, "one\n")) {
    before += "one\n";
    await until(() => content() === before);
  }
  write(sink, "two\n");
  await setImmediate();
  expect(content()).toBe(before);
  clock.advance(50);
  await until(() => content() !== before);
  expect(content()).toBe(`${before}one\ntwo\n`);
});

test("a file that is there is written on", async () => {
  fs.writeFileSync(file, "before\n");
  write(open(), "after\n");
  clock.advance(50);
  await until(() => content().length > 7);
  expect(content()).toBe("before\nafter\n");
});

test("closing writes what waits", async () => {
  const sink = open();
  for (let index = 0; index < 10_000; index++) write(sink, `${index}\n`);
  await sink.close();
  expect(content().split("\n")).toHaveLength(10_001);
  expect(said).toEqual([]);
});

test("lines that come while it is closed are written, and those after that are said", async () => {
  const sink = open();
  write(sink, "before\n");
  const closed = sink.close();
  write(sink, "meanwhile\n");
  await closed;
  expect([content(), said]).toEqual(["before\nmeanwhile\n", []]);
  write(sink, "too late\n");
  write(sink, "too late as well\n");
  expect(said).toEqual(["the access log is closed: calls that end now have no line"]);
});

test("a file that was moved away gets no more lines once it is reopened, and none is lost between", async () => {
  const sink = open();
  write(sink, "old\n");
  clock.advance(50);
  await until(() => content() !== "");
  await rename(file, `${file}.1`);
  write(sink, "still old\n");
  clock.advance(50);
  await until(() => content(`${file}.1`).length > 4);
  sink.reopen();
  await until(() => fs.existsSync(file));
  write(sink, "new\n");
  await sink.close();
  expect([content(`${file}.1`), content()]).toEqual(["old\nstill old\n", "new\n"]);
});

test("a file that is moved away while it is being opened is opened once more", async () => {
  const fstat = fs.fstat;
  // It has been opened, and is looked at next.
  const spy = vi.spyOn(fs, "fstat").mockImplementationOnce(((fd: number, onDone: fs.NoParamCallback) => {
    fs.renameSync(file, `${file}.1`);
    sink.reopen();
    fstat(fd, onDone);
  }) as typeof fs.fstat);
  const sink = open();
  await until(() => spy.mock.calls.length > 0);
  write(sink, "new\n");
  await sink.close();
  expect([content(`${file}.1`), content()]).toEqual(["", "new\n"]);
});

describe("a file that was deleted", () => {
  const deleted = () => `the access log was deleted; it is opened anew ${file}`;

  test("is made anew, as soon as there is a line and a second has passed", async () => {
    const sink = open();
    write(sink, "one\n");
    clock.advance(50);
    await until(() => content() !== "");
    await rm(file);
    clock.advance(1_000);
    write(sink, "two\n");
    clock.advance(50);
    await until(() => content() !== "");
    expect([content(), said]).toEqual(["two\n", [deleted()]]);
  });

  test("with its folder is waited for, and what was written until then is there", async () => {
    const path = join(folder, "inner", "access.log");
    await mkdir(join(folder, "inner"));
    const sink = open(path);
    write(sink, "zero\n");
    await until(() => content(path) !== "");
    await rm(join(folder, "inner"), { recursive: true });
    clock.advance(1_000);
    write(sink, "one\n");
    clock.advance(50);
    await until(() => said.length === 2);
    write(sink, "two\n");
    await mkdir(join(folder, "inner"));
    clock.advance(1_000);
    await until(() => content(path) !== "");
    await sink.close();
    expect([content(path), said]).toEqual([
      "one\ntwo\n",
      [
        `the access log was deleted; it is opened anew ${path}`,
        expect.stringMatching(/^the access log cannot be opened; it is tried again .*ENOENT/),
        `the access log is open now ${path}`,
      ],
    ]);
  });

  test("is another than one that was moved, which takes lines until it is reopened", async () => {
    const sink = open();
    await until(() => fs.existsSync(file));
    await rename(file, `${file}.1`);
    for (let second = 0; second < 3; second++) {
      clock.advance(1_000);
      write(sink, `${second}\n`);
      clock.advance(50);
      await until(() => content(`${file}.1`).length === 2 * (second + 1));
    }
    expect([fs.existsSync(file), said]).toEqual([false, []]);
  });
});

describe("lines that cannot be written before the end", () => {
  const lost = (path: string, lines: number, cause: string) =>
    `the access log lost lines: they could not be written before the end ${path} ${lines} ${cause}`;

  test("are counted, with what is wrong with the disk", async () => {
    const sink = open("/dev/full");
    for (let index = 0; index < 600; index++) write(sink, "x\n");
    clock.advance(50);
    await until(() => said.length === 1);
    await closeOf(sink);
    expect(said).toEqual([
      expect.stringContaining("cannot be written"),
      expect.stringContaining(lost("/dev/full", 600, "ENOSPC")),
    ]);
  });

  test("are counted, with what is wrong with the folder", async () => {
    const path = join(folder, "none", "access.log");
    const sink = open(path);
    await until(() => said.length === 1);
    for (let index = 0; index < 30_000; index++) write(sink, `${"x".repeat(199)}\n`);
    expect(said[1]).toMatch(/^the access log loses lines: there is no more room to wait .*ENOENT/);
    await closeOf(sink);
    expect(said.slice(2)).toEqual([expect.stringContaining(lost(path, 30_000, "ENOENT"))]);
  });

  test("are counted, where nobody reads a pipe", async () => {
    const path = join(folder, "pipe");
    execFileSync("mkfifo", [path]);
    const sink = open(path);
    await until(() => said.length === 1);
    write(sink, "x\n");
    await closeOf(sink);
    expect(said).toEqual([
      `the access log cannot be opened; it is tried again ${path} nobody reads the pipe`,
      lost(path, 1, "nobody reads the pipe"),
    ]);
  });
});

describe("a folder that is not there", () => {
  test("is said once and tried again, and what was written until then is there", async () => {
    const path = join(folder, "later", "access.log");
    const sink = open(path);
    await until(() => said.length > 0);
    write(sink, "waits\n");
    for (let second = 0; second < 5; second++) {
      clock.advance(1_000);
      await until(() => said.length > 0 && clock.pending > 0);
    }
    expect(said).toEqual([expect.stringMatching(/^the access log cannot be opened; it is tried again .*ENOENT/)]);
    await mkdir(join(folder, "later"));
    clock.advance(1_000);
    await until(() => content(path) !== "");
    expect(content(path)).toBe("waits\n");
    expect(said.slice(1)).toEqual([`the access log is open now ${path}`]);
  });

  test("leaves the old file in use where it is gone when the file is reopened", async () => {
    const inner = join(folder, "inner");
    await mkdir(inner);
    const sink = open(join(inner, "access.log"));
    write(sink, "one\n");
    clock.advance(50);
    await until(() => content(join(inner, "access.log")) !== "");
    await rename(inner, `${inner}.moved`);
    sink.reopen();
    await until(() => said.length === 1);
    write(sink, "two\n");
    clock.advance(50);
    await until(() => content(join(`${inner}.moved`, "access.log")).length > 4);
    await mkdir(inner);
    clock.advance(1_000);
    await until(() => said.length === 2);
    write(sink, "three\n");
    await sink.close();
    expect(await readFile(join(`${inner}.moved`, "access.log"), "utf8")).toBe("one\ntwo\n");
    expect(content(join(inner, "access.log"))).toBe("three\n");
  });
});

test("a disk that is full is said once, and its lines are lost only where they are too many", async () => {
  const sink = open("/dev/full");
  const line = `${"x".repeat(1023)}\n`;
  for (let index = 0; index < 5 * 1024; index++) write(sink, line);
  await until(() => said.length === 2);
  for (let second = 0; second < 3; second++) {
    clock.advance(1_000);
    await until(() => clock.pending > 0);
  }
  expect(said).toEqual([
    "the access log loses lines: they come faster than they go /dev/full",
    expect.stringMatching(/^the access log cannot be written; it is tried again \/dev\/full ENOSPC/),
  ]);
  await closeOf(sink);
});

describe("a reader of a pipe who sleeps", () => {
  const line = `${"y".repeat(99)}\n`;

  /** @returns what reads all that the pipe holds */
  function pipe(): { sink: LineSink; readOn: () => string } {
    const path = join(folder, "pipe");
    execFileSync("mkfifo", [path]);
    const reader = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    const bytes = Buffer.alloc(64 * 1024);
    const readOn = () => {
      try {
        return bytes.toString("latin1", 0, fs.readSync(reader, bytes));
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe("EAGAIN");
        return "";
      }
    };
    return { sink: open(path), readOn };
  }

  test("holds up nobody, and gets whole lines when it wakes", async () => {
    const { sink, readOn } = pipe();
    const count = 3_000;
    for (let index = 0; index < count; index++) write(sink, line);
    let got = "";
    while (got.length < count * line.length) {
      clock.advance(50);
      await setImmediate();
      got += readOn();
    }
    expect(got).toBe(line.repeat(count));
    expect(said).toEqual([]);
  });

  test("is given no more at once than a pipe takes in one piece", async () => {
    const writes = vi.spyOn(fs, "write");
    const { sink, readOn } = pipe();
    for (let index = 0; index < 100; index++) write(sink, line);
    clock.advance(50);
    let got = "";
    while (got.length < 100 * line.length) {
      await setImmediate();
      got += readOn();
    }
    expect(writes.mock.calls.map(([, bytes]) => bytes.length)).toEqual([4_000, 4_000, 2_000]);
  });

  test("who reads nothing more at the end leaves lines that are counted", async () => {
    const { sink, readOn } = pipe();
    const count = 3_000;
    for (let index = 0; index < count; index++) write(sink, line);
    // The pipe is full: it is tried again.
    await until(() => clock.pending === 1);
    await closeOf(sink);
    const read = readOn();
    const lines = count - read.length / line.length;
    expect([lines > 0, said]).toEqual([
      true,
      [
        expect.stringMatching(
          new RegExp(`^the access log lost lines: they could not .* ${lines} its reader takes no more$`),
        ),
      ],
    ]);
  });

  test("loses what does not fit, whole lines, and how many is said when it has caught up", async () => {
    const { sink, readOn } = pipe();
    const count = 60_000;
    for (let index = 0; index < count; index++) write(sink, line);
    let got = "";
    while (said.length < 2) {
      clock.advance(50);
      await setImmediate();
      got += readOn();
    }
    for (let more = readOn(); more !== ""; more = readOn()) got += more;
    const lost = Number(/lost lines .* (\d+)$/.exec(said[1] ?? "")?.[1]);
    expect(lost).toBeGreaterThan(0);
    expect(got.length + lost * line.length).toBe(count * line.length);
    expect(got).toBe(line.repeat(got.length / line.length));
  });
});
