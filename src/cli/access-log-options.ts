/** `--access-log…`, of the commands that carry calls. */
import { statSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { parseGoDuration } from "../model/go-duration.ts";
import { nearest } from "../model/nearest.ts";
import { parseStatusRanges, STATUS_SYNTAX, type StatusRange } from "../model/status-ranges.ts";
import {
  type AccessLogFormat,
  type AccessLogSettings,
  DEFAULT_ACCESS_LOG,
  type HeaderChoice,
  isSecretHeader,
} from "../proxy/access-log/access-log-settings.ts";
import { CALL_FIELDS, HEADERS_FIELD } from "../proxy/access-log/call-fields.ts";
import { notEmpty } from "./not-empty.ts";
import { idleFlags, type OnIdleFlags, refuseIdle, setting } from "./settings.ts";

export interface AccessLogFlags {
  readonly accessLog?: boolean;
  readonly accessLogFile?: string;
  readonly accessLogFormat: AccessLogFormat;
  readonly accessLogFields?: readonly string[];
  readonly accessLogHeaders?: readonly HeaderChoice[];
  readonly accessLogFilterStatus?: readonly StatusRange[];
  readonly accessLogFilterMinDuration?: number;
  readonly accessLogFilterRetries?: boolean;
  readonly accessLogSampling: number;
}

const FIELD_NAMES = [...CALL_FIELDS.map(({ name }) => name), HEADERS_FIELD];
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

export function addAccessLogOptions(command: Command, onIdle: OnIdleFlags = refuseIdle): Command {
  return command
    .addOption(setting("--access-log", "write a line for each call to standard output"))
    .addOption(
      setting("--access-log-file <file>", "or to this file, which is opened anew on SIGUSR1").argParser(notEmpty),
    )
    .addOption(
      setting("--access-log-format <format>", "json, or common: the Common Log Format as Traefik writes it")
        .default(DEFAULT_ACCESS_LOG.format)
        .argParser(parseFormat),
    )
    .addOption(
      setting("--access-log-fields <names>", "fields of a JSON line, by commas; -name: all but that").argParser(
        parseFields,
      ),
    )
    .addOption(
      setting(
        "--access-log-headers <names>",
        "fields of the request in a JSON line, by commas; secret ones are redacted but for name=keep",
      ).argParser(parseHeaders),
    )
    .addOption(
      setting("--access-log-filter-status <ranges>", "only calls with these, such as 404,5xx,500-503").argParser(
        parseStatuses,
      ),
    )
    .addOption(
      setting("--access-log-filter-min-duration <duration>", "or that took so long, such as 200ms").argParser(
        parseDuration,
      ),
    )
    .addOption(setting("--access-log-filter-retries", "or that were tried again"))
    .addOption(
      setting("--access-log-sampling <ratio>", "of those, this share: 0.01 is one in a hundred; failures always")
        .default(DEFAULT_ACCESS_LOG.sampling)
        .argParser(parseRatio),
    )
    .hook("preAction", (_, action) => {
      for (const sentence of idleOf(action)) onIdle(action, sentence);
    });
}

function idleOf(action: Command): string[] {
  const flags = action.opts<AccessLogFlags>();
  const { accessLog, accessLogFile: file, accessLogFormat: format } = flags;
  if (accessLog !== true && file === undefined)
    return idleFlags(action, "access-log-", "there is no access log; add --access-log or --access-log-file FILE");
  const sentences: string[] = [];
  if (format === "common" && (flags.accessLogFields !== undefined || flags.accessLogHeaders !== undefined))
    sentences.push("the format common has its own fields: --access-log-fields and --access-log-headers are for json");
  if (file !== undefined && isFolder(file))
    sentences.push(`--access-log-file ${file} is a folder: name a file in it, such as access.log`);
  return sentences;
}

/**
 * @param shared other processes of this proxy may write to the file too
 * @returns undefined where there is to be none
 */
export function accessLogSettings(flags: AccessLogFlags, shared = false): AccessLogSettings | undefined {
  const { accessLog, accessLogFile: file, accessLogFormat: format, accessLogFields: fields } = flags;
  if (accessLog !== true && file === undefined) return undefined;
  const { accessLogFilterMinDuration: minDurationMs } = flags;
  return {
    format,
    headers: flags.accessLogHeaders ?? DEFAULT_ACCESS_LOG.headers,
    statuses: flags.accessLogFilterStatus ?? DEFAULT_ACCESS_LOG.statuses,
    retried: flags.accessLogFilterRetries ?? DEFAULT_ACCESS_LOG.retried,
    sampling: flags.accessLogSampling,
    ...(file === undefined ? {} : { file, shared }),
    ...(fields === undefined ? {} : { fields }),
    ...(minDurationMs === undefined ? {} : { minDurationMs }),
  };
}

/** What else is wrong with a path is warned of when it is opened, and may be mended while the process runs. */
function isFolder(path: string): boolean {
  if (path.endsWith("/")) return true;
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function parseFormat(text: string): AccessLogFormat {
  if (text === "json" || text === "common") return text;
  throw new InvalidArgumentError(`"${text}" is none of json, common.`);
}

function partsOf(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function parseFields(text: string): string[] {
  const parts = partsOf(text);
  const names = parts.map((part) => part.replace(/^-/, ""));
  for (const name of names) {
    if (FIELD_NAMES.includes(name)) continue;
    const meant = nearest(name, FIELD_NAMES);
    const hint = meant === undefined ? `There are ${FIELD_NAMES.join(", ")}.` : `Did you mean ${meant}?`;
    throw new InvalidArgumentError(`"${name}" is no field. ${hint}`);
  }
  const dropped = parts.filter((part) => part.startsWith("-")).length;
  if (dropped === 0) return names;
  if (dropped < parts.length) throw new InvalidArgumentError("Name the fields to have, or with - those to leave out.");
  return FIELD_NAMES.filter((name) => !names.includes(name));
}

function parseHeaders(text: string): HeaderChoice[] {
  return partsOf(text).map((part) => {
    const [, name = "", mode] = /^([^=]*)(?:=(keep|redact))?$/.exec(part.toLowerCase()) ?? [];
    if (!TOKEN.test(name)) throw new InvalidArgumentError(`"${part}" is not NAME, NAME=keep or NAME=redact.`);
    return { name, redact: mode === undefined ? isSecretHeader(name) : mode === "redact" };
  });
}

function parseStatuses(text: string): StatusRange[] {
  const ranges = parseStatusRanges(text);
  if (ranges === undefined) throw new InvalidArgumentError(`"${text}" is not ${STATUS_SYNTAX}.`);
  return ranges;
}

/** @returns milliseconds */
function parseDuration(text: string): number {
  const ms = parseGoDuration(text);
  if (ms === undefined || ms < 0) throw new InvalidArgumentError(`"${text}" is not a duration such as 200ms or 1.5s.`);
  return ms;
}

function parseRatio(text: string): number {
  const ratio = Number(text);
  if (text.trim() === "" || !(ratio >= 0 && ratio <= 1))
    throw new InvalidArgumentError(`"${text}" is not a number from 0 to 1.`);
  return ratio;
}
