/** Which calls a tap shows. Plain data, as the query of a URL says it. */
import { RE2JS } from "re2js";
import { FAILURES } from "../model/failures.ts";
import { parseGoDuration } from "../model/go-duration.ts";
import { nearest } from "../model/nearest.ts";
import { parseStatusRanges, STATUS_SYNTAX, type StatusRange } from "../model/status-ranges.ts";

export interface TapFilter {
  /** `namespace`, or `namespace/name` of a Pod or of what made it. */
  readonly from?: string;
  /** `namespace`, `namespace/service` or `namespace/service:port`; what was called, or what served it. */
  readonly to?: string;
  readonly method?: string;
  /** Begins the path. */
  readonly path?: string;
  /** RE2; fits anywhere in the path. */
  readonly pathRegex?: string;
  readonly statuses?: readonly StatusRange[];
  /** A code of failures, or `any`. */
  readonly reason?: string;
  readonly slowerMs?: number;
  /** Refused by access control, or would be in mode on. */
  readonly denied?: boolean;
  readonly retried?: boolean;
  /** Calls a second. */
  readonly maxRate: number;
  /** Ends the tap after so many; absent: never. */
  readonly count?: number;
}

export const DEFAULT_MAX_RATE = 100;
const HIGHEST_MAX_RATE = 10_000;
/** Of each part of a query: a filter is kept by every worker. */
const MAX_TEXT = 1_024;

type Draft = { -readonly [Key in keyof TapFilter]: TapFilter[Key] };
/** @returns what is wrong; "" where nothing is */
type Reader = (text: string, into: Draft) => string;

const SWITCH: Readonly<Record<string, boolean>> = { true: true, "1": true, "": true, false: false, "0": false };
const WORD = /^[^\s/:]+$/;

/** By the names that the URL has; the command line has the same. */
const READERS: Readonly<Record<string, Reader>> = {
  from: (text, into) => {
    const parts = text.split("/");
    if (parts.length > 2 || !parts.every((part) => WORD.test(part))) return "is not NAMESPACE or NAMESPACE/NAME";
    into.from = text;
    return "";
  },
  to: (text, into) => {
    if (!/^[^\s/:]+(\/[^\s/:]+(:\d{1,5})?)?$/.test(text)) return "is not NAMESPACE, NAMESPACE/SERVICE or with :PORT";
    into.to = text;
    return "";
  },
  method: (text, into) => {
    into.method = text.toUpperCase();
    return text === "" ? "is empty" : "";
  },
  path: (text, into) => {
    into.path = text;
    return text.startsWith("/") ? "" : "does not begin with /";
  },
  "path-regex": (text, into) => {
    into.pathRegex = text;
    try {
      RE2JS.compile(text);
      return "";
    } catch (error) {
      return `is no regular expression of RE2: ${(error as Error).message}`;
    }
  },
  status: (text, into) => {
    const ranges = parseStatusRanges(text);
    if (ranges === undefined) return `is not ${STATUS_SYNTAX}`;
    into.statuses = ranges;
    return "";
  },
  reason: (text, into) => {
    into.reason = text;
    if (text === "any" || Object.hasOwn(FAILURES, text)) return "";
    const meant = nearest(text, Object.keys(FAILURES));
    return `is no reason${meant === undefined ? "" : `: did you mean ${meant}?`}`;
  },
  slower: (text, into) => {
    const ms = parseGoDuration(text);
    if (ms === undefined || ms < 0) return "is not a duration such as 200ms";
    into.slowerMs = ms;
    return "";
  },
  denied: (text, into) => {
    into.denied = SWITCH[text] === true;
    return Object.hasOwn(SWITCH, text) ? "" : "is neither true nor false";
  },
  retried: (text, into) => {
    into.retried = SWITCH[text] === true;
    return Object.hasOwn(SWITCH, text) ? "" : "is neither true nor false";
  },
  "max-rate": (text, into) => {
    into.maxRate = Number(text);
    return isCount(text) && into.maxRate <= HIGHEST_MAX_RATE ? "" : `is not a number from 1 to ${HIGHEST_MAX_RATE}`;
  },
  count: (text, into) => {
    into.count = Number(text);
    return isCount(text) ? "" : "is not a number from 1";
  },
};

export const TAP_PARAMETERS: readonly string[] = Object.keys(READERS);

/** @returns the filter, or what is wrong with the query */
export function readTapFilter(query: URLSearchParams): TapFilter | string {
  const filter: Draft = { maxRate: DEFAULT_MAX_RATE };
  for (const [name, text] of query) {
    const read = Object.hasOwn(READERS, name) ? READERS[name] : undefined;
    if (read === undefined) return `there is no parameter "${printable(name)}"; there are ${TAP_PARAMETERS.join(", ")}`;
    const wrong = text.length > MAX_TEXT ? "is too long" : read(text, filter);
    if (wrong !== "") return `${name}: "${printable(text)}" ${wrong}`;
  }
  return filter;
}

function isCount(text: string): boolean {
  return /^[1-9]\d{0,8}$/.test(text);
}

function printable(text: string): string {
  return text.slice(0, 100).replace(/[^ -~]/g, "?");
}
