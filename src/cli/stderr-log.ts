import type { Log, LogFields } from "../telemetry/log.ts";
import { visible } from "./visible.ts";

/** For people at a terminal: one line each on standard error, `tulle: message (field=value)`. */
export function stderrLog(): Log {
  const write = (level: string, message: string, fields: LogFields = {}) => {
    const details = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
    const suffix = details.length === 0 ? "" : ` (${details.join(", ")})`;
    process.stderr.write(`tulle: ${level}${visible(`${message}${suffix}`)}\n`);
  };
  return {
    debug() {},
    info: (message, fields) => write("", message, fields),
    warn: (message, fields) => write("warning: ", message, fields),
    error: (message, fields) => write("error: ", message, fields),
  };
}
