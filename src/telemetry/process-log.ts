/** Logs of the processes of a cluster: a line each, as text or JSON. */
import type { Log, LogFields } from "./log.ts";

export type LogFormat = "text" | "json";
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface ProcessLogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Milliseconds since the epoch. */
  wall(): number;
  write(line: string): void;
}

export function processLog({ level, format, wall, write }: ProcessLogOptions): Log {
  const least = LOG_LEVELS.indexOf(level);
  const at = (name: LogLevel) => {
    if (LOG_LEVELS.indexOf(name) < least) return () => {};
    return (message: string, fields: LogFields = {}) => {
      const time = new Date(wall()).toISOString();
      if (format === "json") write(`${JSON.stringify({ time, level: name, msg: message, ...fields })}\n`);
      else write(`time=${time} level=${name} msg=${quoted(message)}${textOf(fields)}\n`);
    };
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

function textOf(fields: LogFields): string {
  return Object.entries(fields)
    .map(([name, value]) => ` ${name}=${quoted(String(value))}`)
    .join("");
}

/** As logfmt readers expect it. */
function quoted(text: string): string {
  return text !== "" && /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}
