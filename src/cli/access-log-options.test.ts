import { Command } from "commander";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { AccessLogSettings } from "../proxy/access-log/access-log-settings.ts";
import { type AccessLogFlags, accessLogSettings, addAccessLogOptions } from "./access-log-options.ts";

const settingsOf = (...flags: string[]) =>
  accessLogSettings(addAccessLogOptions(new Command()).parse(flags, { from: "user" }).opts<AccessLogFlags>());

afterEach(() => {
  vi.unstubAllEnvs();
});

/** As far as the command's action. */
function run(...flags: string[]): void {
  addAccessLogOptions(silentCommand())
    .action(() => {})
    .parse(flags, { from: "user" });
}

/** The same, of a command that goes on. @returns what it warns of, and its settings */
function warned(...flags: string[]): { warnings: string[]; settings: AccessLogSettings | undefined } {
  const warnings: string[] = [];
  const command = addAccessLogOptions(silentCommand(), (_, sentence) => warnings.push(sentence)).action(() => {});
  return { warnings, settings: accessLogSettings(command.parse(flags, { from: "user" }).opts<AccessLogFlags>()) };
}

const silentCommand = () => new Command().exitOverride().configureOutput({ writeErr: () => {} });

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

test("statuses are written as for tulle tap", () => {
  expect(settingsOf("--access-log", "--access-log-filter-status", "404, 5xx,200-204")?.statuses).toEqual([
    [404, 404],
    [500, 599],
    [200, 204],
  ]);
  expect(() => run("--access-log", "--access-log-filter-status", "600")).toThrow(
    '"600" is not a status from 100 to 599, a class such as 5xx, or a range such as 500-599.',
  );
});

describe("flags of an access log that there is not", () => {
  test("are refused with what would give them one", () => {
    expect(() => run("--access-log-format", "common", "--access-log-filter-retries")).toThrow(
      "--access-log-format, --access-log-filter-retries: there is no access log; add --access-log or --access-log-file FILE",
    );
    run("--access-log-format", "common", "--access-log");
    run("--access-log-format", "common", "--access-log-file", "/a");
  });

  test("are no mistake where they come from variables, which may be there for another time", () => {
    vi.stubEnv("TULLE_ACCESS_LOG_FORMAT", "common");
    run();
    vi.stubEnv("TULLE_ACCESS_LOG_FILE", "/a");
    run("--access-log-sampling", "0.5");
  });
});

describe("a file that cannot be meant", () => {
  test("is one without a name", () => {
    expect(() => run("--access-log-file", "")).toThrow("It is empty.");
  });

  test.each(["/", "/tmp", "/nowhere/"])("is a folder: %s", (file) => {
    expect(() => run("--access-log-file", file)).toThrow(`--access-log-file ${file} is a folder`);
  });
});

test("a command that carries the calls of others warns of what it does not need, and goes on", () => {
  expect(warned("--access-log-sampling", "0.5")).toEqual({
    warnings: ["--access-log-sampling: there is no access log; add --access-log or --access-log-file FILE"],
    settings: undefined,
  });
  const common = warned("--access-log", "--access-log-format", "common", "--access-log-fields", "time");
  expect([common.warnings, common.settings?.format]).toEqual([
    ["the format common has its own fields: --access-log-fields and --access-log-headers are for json"],
    "common",
  ]);
  const folder = warned("--access-log-file", "/tmp");
  expect([folder.warnings, folder.settings?.file]).toEqual([
    ["--access-log-file /tmp is a folder: name a file in it, such as access.log"],
    "/tmp",
  ]);
  expect(warned("--access-log").warnings).toEqual([]);
});
