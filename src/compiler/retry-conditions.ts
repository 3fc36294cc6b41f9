/** The value of `tulle.dev/retry-on`: what is tried again, by name or as statuses of answers. */
import type { Retry } from "../config/mesh-config.ts";

type Condition = NonNullable<Retry["on"]>[number];
type StatusRange = NonNullable<Retry["statuses"]>[number];

const CONDITIONS: ReadonlyMap<string, Condition> = new Map([
  ["connect-failure", "connectFailure"],
  ["reset", "reset"],
  ["timeout", "timeout"],
]);
const STATUSES: ReadonlyMap<string, StatusRange> = new Map([
  ["gateway-error", [502, 505]],
  ["5xx", [500, 600]],
]);
const NAMES = [...CONDITIONS.keys(), ...STATUSES.keys()].join(", ");

/** @returns both lists in an order of their own, or what is wrong */
export function parseRetryOn(text: string): Required<Pick<Retry, "on" | "statuses">> | { readonly error: string } {
  const on = new Set<Condition>();
  const statuses = new Map<number, StatusRange>();
  for (const part of text.split(",")) {
    const word = part.trim();
    const condition = CONDITIONS.get(word);
    const range = STATUSES.get(word) ?? statusOf(word);
    if (condition !== undefined) on.add(condition);
    else if (range !== undefined) statuses.set(range[0] * 1000 + range[1], range);
    else return { error: `"${word}" is none of ${NAMES}, and no status from 400 to 599` };
  }
  return {
    on: [...on].sort(),
    statuses: [...statuses.keys()].sort((a, b) => a - b).map((key) => statuses.get(key) as StatusRange),
  };
}

function statusOf(word: string): StatusRange | undefined {
  return /^[45]\d\d$/.test(word) ? [Number(word), Number(word) + 1] : undefined;
}
