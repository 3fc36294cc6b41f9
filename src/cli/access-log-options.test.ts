import { Command } from "commander";
import { expect, test } from "vitest";
import { type AccessLogFlags, accessLogSettings, addAccessLogOptions } from "./access-log-options.ts";

const settingsOf = (...flags: string[]) =>
  accessLogSettings(addAccessLogOptions(new Command()).parse(flags, { from: "user" }).opts<AccessLogFlags>());

test("there is no access log unless it is asked for", () => {
  expect(settingsOf()).toBeUndefined();
  expect(settingsOf("--access-log-format=common")).toBeUndefined();
  expect(settingsOf("--access-log")).toMatchObject({ format: "json", sampling: 1 });
  expect(settingsOf("--access-log-file", "/a")).toMatchObject({ file: "/a" });
});

test("headers that carry who somebody is are redacted unless their value is asked for", () => {
  const headers = "User-Agent, Authorization,Cookie=keep,x-own=redact";
  expect(settingsOf("--access-log", "--access-log-headers", headers)?.headers).toEqual([
    { name: "user-agent", redact: false },
    { name: "authorization", redact: true },
    { name: "cookie", redact: false },
    { name: "x-own", redact: true },
  ]);
});

test("fields are those that are named, or all but those", () => {
  expect(settingsOf("--access-log", "--access-log-fields", "status,time")?.fields).toEqual(["status", "time"]);
  const fields = settingsOf("--access-log", "--access-log-fields", "-query,-headers")?.fields ?? [];
  expect(fields).toContain("path");
  expect(fields).not.toContain("query");
  expect(fields).not.toContain("headers");
});

test("a status alone is a range of one", () => {
  expect(settingsOf("--access-log", "--access-log-filter-status", "404, 500-599")?.statuses).toEqual([
    [404, 404],
    [500, 599],
  ]);
});
