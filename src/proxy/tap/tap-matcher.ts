import type { TapFilter } from "../../tap/tap-filter.ts";
import { silentLog } from "../../telemetry/log.ts";
import { type CallRecord, isExchange, pathOf } from "../access-log/call-fields.ts";
import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import { type RegexProgram, RegexPrograms } from "../router/regex-programs.ts";
import type { ServicePortState } from "../router/types.ts";

/** What Kubernetes appends to the name of what made a Pod: a template's hash and five letters, or a number. */
const POD_SUFFIX = /^(-[bcdfghjklmnpqrstvwxz2456789]{1,10})?-([bcdfghjklmnpqrstvwxz2456789]{5}|\d+)$/;
/** A path may be long, and a tap must not be what makes a proxy slow. */
const MAX_REGEX_PATH = 2_048;

/** Says of a call whether a tap shows it. Its conditions must all hold. */
export class TapMatcher {
  readonly #filter: TapFilter;
  readonly #regex: RegexProgram | undefined;

  constructor(filter: TapFilter) {
    this.#filter = filter;
    const { pathRegex } = filter;
    this.#regex = pathRegex === undefined ? undefined : new RegexPrograms(silentLog).take(pathRegex);
  }

  fits(record: CallRecord): boolean {
    const { from, to, reason, slowerMs, denied } = this.#filter;
    if (slowerMs !== undefined && record.durationMs < slowerMs) return false;
    if (reason !== undefined && (reason === "any" ? record.failure === "" : record.failure !== reason)) return false;
    if (denied === true && !isDenied(record)) return false;
    if (from !== undefined && !isFrom(record, from)) return false;
    if (to !== undefined && !isTo(record, to)) return false;
    return isExchange(record) ? this.#fitsHttp(record) : this.#takesFlows;
  }

  /** What is asked of requests, no flow has. */
  get #takesFlows(): boolean {
    const { method, path, pathRegex, statuses, retried } = this.#filter;
    return [method, path, pathRegex, statuses].every((each) => each === undefined) && retried !== true;
  }

  #fitsHttp({ method, target, status, attempts }: ExchangeRecord): boolean {
    const { method: wanted, path, statuses, retried } = this.#filter;
    if (wanted !== undefined && method !== wanted) return false;
    if (retried === true && attempts < 2) return false;
    if (statuses?.some(([first, last]) => status >= first && status <= last) === false) return false;
    if (path !== undefined && !pathOf(target).startsWith(path)) return false;
    return this.#regex?.matchesWithin(pathOf(target).slice(0, MAX_REGEX_PATH)) !== false;
  }
}

function isDenied({ failure, wouldDeny }: CallRecord): boolean {
  return failure === "AccessDenied" || failure === "AmbiguousPath" || wouldDeny;
}

function isFrom({ caller: { workload } }: CallRecord, from: string): boolean {
  if (workload === undefined) return false;
  return isPodOf(workload.namespace, workload.pod, from);
}

/** @param from a namespace, or `namespace/name` of the Pod or of what made it */
export function isPodOf(namespace: string, pod: string, from: string): boolean {
  const slash = from.indexOf("/");
  if (slash < 0) return namespace === from;
  const name = from.slice(slash + 1);
  if (namespace !== from.slice(0, slash) || !pod.startsWith(name)) return false;
  return pod === name || POD_SUFFIX.test(pod.slice(name.length));
}

function isTo({ entry, path }: CallRecord, to: string): boolean {
  return isServicePort(entry, to) || path.some((passed) => isServicePort(passed, to));
}

/** @param key `namespace/service:port` */
function isServicePort({ key }: ServicePortState, to: string): boolean {
  if (!key.startsWith(to)) return false;
  const next = key[to.length];
  return next === undefined || (next === "/" && !to.includes("/")) || (next === ":" && to.includes("/"));
}
