import { expect, test } from "vitest";
import { type LogFormat, type LogLevel, processLog } from "./process-log.ts";

function written(format: LogFormat, level: LogLevel): string[] {
  const lines: string[] = [];
  const log = processLog({ level, format, wall: () => 0, write: (line) => lines.push(line) });
  log.debug("not told");
  log.warn("a port is taken", { port: 80, why: "in use" });
  return lines;
}

test("a line is time, level, message and fields, as text or as JSON", () => {
  expect(written("text", "info")).toEqual([
    'time=1970-01-01T00:00:00.000Z level=warn msg="a port is taken" port=80 why="in use"\n',
  ]);
  expect(written("json", "info").map((line) => JSON.parse(line))).toEqual([
    { time: "1970-01-01T00:00:00.000Z", level: "warn", msg: "a port is taken", port: 80, why: "in use" },
  ]);
});

test("what is below the level is not written", () => {
  expect(written("text", "debug")).toHaveLength(2);
  expect(written("text", "error")).toEqual([]);
});
