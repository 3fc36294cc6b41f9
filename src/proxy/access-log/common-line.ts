/**
 * The Common Log Format of web servers, and what Traefik appends to it: referrer, user agent, number of the call, name of
 * what routed it, URL of the endpoint, duration. The user is the caller's service account. A flow has its Service in the
 * place of the target, and no status.
 */
import { type CallRecord, isExchange } from "./call-fields.ts";
import { quotedText, wordOf } from "./escaped-text.ts";
import type { LineBytes } from "./line-bytes.ts";
import { clfTime } from "./line-time.ts";

/** Fields of the request that a line has. */
export const COMMON_HEADERS: readonly string[] = ["referer", "user-agent"];

export class CommonLine {
  #count = 0;

  /** Writes it with its line feed. */
  write(record: CallRecord, endedAtMs: number, line: LineBytes): void {
    const { caller, endpoint, entry, durationMs, bytesDown } = record;
    const time = clfTime(endedAtMs - durationMs);
    const call = `${wordOf(caller.address)} - ${wordOf(caller.identity ?? "")} [${time}]`;
    const server = endpoint === undefined ? "-" : `${schemeOf(record)}://${endpoint.address}:${endpoint.dialPort}`;
    const rest = `${++this.#count} ${quotedText((record.path.at(-1) ?? entry).key)} ${quotedText(server)}`;
    line.ascii(`${call} ${whatOf(record, bytesDown)} ${rest} ${Math.trunc(durationMs)}ms\n`);
  }
}

function whatOf(record: CallRecord, bytesDown: number): string {
  if (!isExchange(record)) {
    const transport = record.transport.toUpperCase();
    return `"${transport} ${wordOf(record.entry.key)} ${transport}" - ${bytesDown} "-" "-"`;
  }
  const { method, target, protocol, status } = record;
  const request = quotedText(`${method} ${target} ${protocol === "HTTP/2" ? "HTTP/2.0" : protocol}`);
  const [referrer, agent] = COMMON_HEADERS.map((name) => quotedText(record.requestField(name) ?? "-"));
  return `${request} ${status === 0 ? "-" : status} ${bytesDown} ${referrer} ${agent}`;
}

function schemeOf(record: CallRecord): string {
  return isExchange(record) ? (record.endpoint?.owner.config.scheme ?? "http") : record.transport;
}
