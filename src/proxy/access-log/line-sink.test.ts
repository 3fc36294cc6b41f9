import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import type { Log } from "../../telemetry/log.ts";
import { LineSink } from "./line-sink.ts";

let folder: string;
let file: string;
let clock: ManualClock;
let said: string[];
const sinks: LineSink[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tulle-lines-"));
  file = join(folder, "access.log");
  clock = new ManualClock();
  said = [];
});
afterEach(async () => {
  for (const sink of sinks.splice(0)) await closeOf(sink);
  await rm(folder, { recursive: true });
});

const note = (message: string, fields = {}) => said.push([message, ...Object.values(fields)].join(" "));
const log: Log = { debug: note, info: note, warn: note, error: note };

function open(path = file): LineSink {
  const sink = new LineSink({ file: path, clock, log });
  sinks.push(sink);
  return sink;
}

function write(sink: LineSink, line: string): void {
  sink.line.ascii(line);
  sink.add();
}

/** Turns of the event loop until it is so: the file is written by threads that no clock of ours moves. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setImmediate();
}

/** Gives up what cannot be written. */
async function closeOf(sink: LineSink): Promise<void> {
  let closed = false;
  const closing = sink.close().then(() => {
    closed = true;
  });
  while (!closed) {
    clock.advance(1_000);
    await setImmediate();
  }
  await closing;
}

const content = (path = file) => (fs.existsSync(path) ? fs.readFileSync(path, "utf8") : "");

test("lines are written together after a moment, in their order", async () => {
  const sink = open();
  write(sink, "one\n");
  write(sink, "two\n");
  await setImmediate();
  expect(content()).toBe("");
  clock.advance(50);
  await until(() => content() !== "");
  expect(content()).toBe("one\ntwo\n");
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

describe("a folder that is not there", () => {
  test("is said once and tried again, and what was written until then is there", async () => {
    const path = join(folder, "later", "access.log");
    const sink = open(path);
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
    "the access log loses lines: they come faster than they go",
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
    const lost = Number(/lost lines (\d+)$/.exec(said[1] ?? "")?.[1]);
    expect(lost).toBeGreaterThan(0);
    expect(got.length + lost * line.length).toBe(count * line.length);
    expect(got).toBe(line.repeat(got.length / line.length));
  });
});
