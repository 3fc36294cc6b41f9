import type { StatusRange } from "../../model/status-ranges.ts";

export type AccessLogFormat = "json" | "common";

export interface HeaderChoice {
  /** In lower case. */
  readonly name: string;
  /** Whether it had a value is said, and not which. */
  readonly redact: boolean;
}

/** How calls are logged. Plain data: workers are given it as JSON. */
export interface AccessLogSettings {
  /** Absent: standard output. */
  readonly file?: string;
  /** Other processes of this proxy may write to the file too. */
  readonly shared?: boolean;
  readonly format: AccessLogFormat;
  /** Names of the fields of a JSON line; absent: all. */
  readonly fields?: readonly string[];
  /** Field lines of the request that a JSON line has. */
  readonly headers: readonly HeaderChoice[];
  /** Calls that fit one of these are logged; where there is none of the three, all are. */
  readonly statuses: readonly StatusRange[];
  readonly minDurationMs?: number;
  readonly retried: boolean;
  /** Which share of those; in [0, 1]. */
  readonly sampling: number;
}

export const DEFAULT_ACCESS_LOG: AccessLogSettings = {
  format: "json",
  headers: [],
  statuses: [],
  retried: false,
  sampling: 1,
};

/** Fields that carry who somebody is: redacted unless their value is asked for. */
const SECRETS = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "x-api-key",
  "x-auth-token",
  "x-amz-security-token",
  "x-csrf-token",
  "x-forwarded-client-cert",
]);

/** @param name in lower case */
export function isSecretHeader(name: string): boolean {
  return SECRETS.has(name);
}
