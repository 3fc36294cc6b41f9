import { expect, test } from "vitest";
import type { ForwardOptions } from "../message-heads.ts";
import { OwnFields } from "./own-fields.ts";

const options = (rest: Partial<ForwardOptions>): ForwardOptions => ({
  server: "proxy",
  callerAddress: "10.0.0.1",
  port: 80,
  scheme: "http",
  defaultHost: "a.b",
  path: undefined,
  host: undefined,
  changes: [],
  added: { addedLines: "", addedFields: [] },
  ...rest,
});

const lines = (text: string) => text.split("\r\n");

test("each caller, host and port has lines of its own, asked for in any order", () => {
  const fields = new OwnFields();
  const callers = ["10.0.0.1", "10.0.0.2"];
  for (let round = 0; round < 2; round++)
    for (const callerAddress of callers)
      for (const host of ["one", "two", "x".repeat(1000)])
        for (const port of [80, 81])
          expect(lines(fields.of(options({ callerAddress, port }), host))).toEqual([
            `X-Forwarded-For: ${callerAddress}`,
            `X-Forwarded-Host: ${host}`,
            `X-Forwarded-Port: ${port}`,
            "X-Forwarded-Proto: http",
            "X-Forwarded-Server: proxy",
            `X-Real-Ip: ${callerAddress}`,
            "",
          ]);
});

test("any number of callers may come", () => {
  const fields = new OwnFields();
  for (let caller = 0; caller < 5000; caller++)
    fields.of(options({ callerAddress: `10.0.${caller >> 8}.${caller & 255}` }), "h");
  expect(lines(fields.of(options({ callerAddress: "10.0.0.7" }), "h"))[0]).toBe("X-Forwarded-For: 10.0.0.7");
});
