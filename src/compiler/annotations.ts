/**
 * What a Service asks for by annotations: every key of Traefik Mesh, under its prefix and the legacy one, and Tulle's
 * own.
 */
import type {
  Balancing,
  Ejection,
  Limits,
  Middlewares,
  Retry,
  ServicePort,
  Timeouts,
  TrafficType,
  UpstreamTls,
} from "../config/mesh-config.ts";
import { parseGoDuration } from "../model/go-duration.ts";
import { nearest } from "../model/nearest.ts";
import { refOf, type Service } from "../model/objects.ts";
import { type Problem, type ProblemCode, problem } from "../model/problems.ts";
import { parseBreaker } from "./breaker-parser.ts";
import { parseRetryOn } from "./retry-conditions.ts";

const PREFIX = "mesh.traefik.io/";
const LEGACY_PREFIX = "maesh.containo.us/";
/** Tulle's own additions. */
const OWN_PREFIX = "tulle.dev/";

const TRAFFIC_TYPE = "traffic-type";
const SCHEME = "scheme";
const RETRY = "retry-attempts";
const BREAKER = "circuit-breaker-expression";
const AVERAGE = "ratelimit-average";
const BURST = "ratelimit-burst";
const KEYS = [TRAFFIC_TYPE, SCHEME, RETRY, BREAKER, AVERAGE, BURST] as const;
const TLS_VERIFY = "tls-verify";
const TLS_SERVER_NAME = "tls-server-name";
const TLS_KEYS = [TLS_VERIFY, TLS_SERVER_NAME] as const;
const CONNECT_TIMEOUT = "connect-timeout";
const REQUEST_TIMEOUT = "request-timeout";
const TRY_TIMEOUT = "try-timeout";
const IDLE_TIMEOUT = "idle-timeout";
const MAX_CONNECTIONS = "max-connections";
const MAX_PENDING = "max-pending";
const LOAD_BALANCING = "load-balancing";
const SLOW_START = "slow-start";
const EJECTION = "ejection";
const EJECTION_CEILING = "ejection-ceiling";
const BALANCING_KEYS = [SLOW_START, EJECTION, EJECTION_CEILING] as const;
const RETRY_ON = "retry-on";
const RETRY_BUDGET = "retry-budget";
const RETRY_KEYS = [RETRY_ON, RETRY_BUDGET] as const;
const TIMEOUT_KEYS = [CONNECT_TIMEOUT, REQUEST_TIMEOUT, TRY_TIMEOUT, IDLE_TIMEOUT] as const;
const OWN_KEYS = [
  ...TLS_KEYS,
  ...TIMEOUT_KEYS,
  MAX_CONNECTIONS,
  MAX_PENDING,
  ...RETRY_KEYS,
  LOAD_BALANCING,
  ...BALANCING_KEYS,
] as const;
type OwnKey = (typeof OWN_KEYS)[number];
type Key = (typeof KEYS)[number] | OwnKey;
const HTTP_ONLY: readonly Key[] = [
  SCHEME,
  RETRY,
  BREAKER,
  AVERAGE,
  BURST,
  ...TLS_KEYS,
  REQUEST_TIMEOUT,
  TRY_TIMEOUT,
  ...RETRY_KEYS,
];
const HTTP_AND_TCP: readonly Key[] = [CONNECT_TIMEOUT, IDLE_TIMEOUT, MAX_CONNECTIONS, MAX_PENDING, ...BALANCING_KEYS];

const TRAFFIC_TYPES: readonly string[] = ["http", "tcp", "udp"] satisfies TrafficType[];
const SCHEMES: readonly string[] = ["http", "https", "h2c"] satisfies ServicePort["scheme"][];
const ALGORITHMS: ReadonlyMap<string, NonNullable<Balancing["algorithm"]>> = new Map([
  ["least-requests", "leastRequests"],
  ["ewma", "ewma"],
  ["round-robin", "roundRobin"],
]);
const MAX_COUNT = 1_000_000_000;
const MAX_DURATION_MS = 24 * 3_600_000;
/** Idle time is looked at once a second. */
const LEAST_IDLE_MS = 1_000;
/** RFC 1123 §2.1; the name of RFC 6066 §3 may not be an address. */
const HOST_NAME =
  /^(?=.{1,253}$)(?!.*\.\d+$)(?!\d+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;
/** Whole names by key. */
const ALL_NAMES: ReadonlyMap<string, string> = new Map([
  ...KEYS.map((key) => [key, PREFIX + key] as const),
  ...OWN_KEYS.map((key) => [key, OWN_PREFIX + key] as const),
]);

/** Every name that means something, with its prefix. */
export const ANNOTATIONS: readonly string[] = [...ALL_NAMES.values()];

export interface ServiceIntent {
  readonly trafficType: TrafficType;
  readonly scheme: ServicePort["scheme"];
  /** With scheme https. */
  readonly tls?: UpstreamTls;
  readonly middlewares: Middlewares;
  readonly settings: UpstreamSettings;
}

/** How the way to the endpoints is to be; what is absent is as the proxy has it. */
export type UpstreamSettings = Pick<ServicePort, "timeouts" | "limits" | "balancing">;

/** @returns undefined where the Service cannot be served for what it asks */
export function readAnnotations(
  service: Service,
  defaultTrafficType: TrafficType,
  problems: Problem[],
): ServiceIntent | undefined {
  const reader = new AnnotationReader(service, problems);
  reader.reportUnknown();
  const trafficType = reader.value(TRAFFIC_TYPE) ?? defaultTrafficType;
  const scheme = reader.value(SCHEME) ?? "http";
  let served = true;
  if (!TRAFFIC_TYPES.includes(trafficType)) {
    reader.report("TrafficTypeInvalid", TRAFFIC_TYPE, `"${trafficType}" is no traffic type`);
    served = false;
  }
  if (!SCHEMES.includes(scheme)) {
    reader.report("SchemeInvalid", SCHEME, `"${scheme}" is no scheme`);
    served = false;
  }
  if (trafficType === "tcp" || trafficType === "udp") {
    reader.reportMisplaced(trafficType);
    return served
      ? { trafficType, scheme: "http", middlewares: {}, settings: reader.settings(trafficType) }
      : undefined;
  }
  const middlewares = reader.middlewares();
  const settings = reader.settings("http");
  const tls = reader.tls(scheme);
  if (!served) return undefined;
  if (tls !== undefined) return { trafficType: "http", scheme: "https", tls, middlewares, settings };
  return { trafficType: "http", scheme: scheme === "h2c" ? "h2c" : "http", middlewares, settings };
}

class AnnotationReader {
  readonly #service: Service;
  readonly #problems: Problem[];

  constructor(service: Service, problems: Problem[]) {
    this.#service = service;
    this.#problems = problems;
  }

  value(key: Key): string | undefined {
    const { annotations } = this.#service.meta;
    if (isOwn(key)) return annotations[OWN_PREFIX + key];
    return annotations[PREFIX + key] ?? annotations[LEGACY_PREFIX + key];
  }

  report(code: ProblemCode, key: Key, detail: string): void {
    const prefix = this.#service.meta.annotations[PREFIX + key] === undefined ? LEGACY_PREFIX : PREFIX;
    this.#add(code, (isOwn(key) ? OWN_PREFIX : prefix) + key, detail);
  }

  reportUnknown(): void {
    for (const name of Object.keys(this.#service.meta.annotations).sort()) {
      const prefix = [PREFIX, LEGACY_PREFIX, OWN_PREFIX].find((each) => name.startsWith(each));
      if (prefix === undefined) continue;
      const key = name.slice(prefix.length);
      const keys: readonly string[] = prefix === OWN_PREFIX ? OWN_KEYS : KEYS;
      if (!keys.includes(key)) {
        const meant = nearest(key, ALL_NAMES.keys());
        const hint =
          meant === undefined
            ? `the keys are ${[...ALL_NAMES.values()].join(", ")}`
            : `did you mean ${ALL_NAMES.get(meant)}?`;
        this.#add("AnnotationUnknown", name, `no annotation has this name (${hint})`);
      } else if (prefix === LEGACY_PREFIX) this.#add("AnnotationDeprecated", name, "its prefix is the old one");
    }
  }

  /** Keys that mean nothing to a Service of TCP or UDP. */
  reportMisplaced(trafficType: TrafficType): void {
    const report = (keys: readonly Key[], meant: string) => {
      for (const key of keys)
        if (this.value(key) !== undefined)
          this.report(
            "AnnotationIgnored",
            key,
            `it is for ${meant}, and this Service's traffic type is ${trafficType}`,
          );
    };
    report(HTTP_ONLY, "HTTP");
    if (trafficType === "udp") report(HTTP_AND_TCP, "HTTP and TCP");
  }

  settings(trafficType: TrafficType): UpstreamSettings {
    const timeouts = this.#timeouts(trafficType);
    const limits = trafficType === "udp" ? undefined : this.#limits();
    const balancing = this.#balancing(trafficType);
    return {
      ...(Object.keys(timeouts).length === 0 ? {} : { timeouts }),
      ...(limits === undefined ? {} : { limits }),
      ...(Object.keys(balancing).length === 0 ? {} : { balancing }),
    };
  }

  #balancing(trafficType: TrafficType): Balancing {
    const algorithm = this.#algorithm(trafficType);
    if (trafficType === "udp") return algorithm === undefined ? {} : { algorithm };
    const slowStartMs = this.#durationMs(SLOW_START);
    const ejection = this.#ejection();
    return {
      ...(algorithm === undefined ? {} : { algorithm }),
      ...(slowStartMs === undefined ? {} : { slowStartMs }),
      ...(Object.keys(ejection).length === 0 ? {} : { ejection }),
    };
  }

  #algorithm(trafficType: TrafficType): Balancing["algorithm"] {
    const text = this.value(LOAD_BALANCING);
    if (text === undefined) return undefined;
    const algorithm = ALGORITHMS.get(text);
    if (algorithm === undefined) {
      this.report("AnnotationInvalid", LOAD_BALANCING, `"${text}" is none of ${[...ALGORITHMS.keys()].join(", ")}`);
    } else if (algorithm === "ewma" && trafficType !== "http") {
      const reason = `ewma measures answers of HTTP, and this Service's traffic type is ${trafficType}`;
      this.report("AnnotationInvalid", LOAD_BALANCING, reason);
      return undefined;
    }
    return algorithm;
  }

  #ejection(): Ejection {
    const ceilingPercent = this.#percent(EJECTION_CEILING);
    const failures = this.value(EJECTION) === "off" ? 0 : this.#count(EJECTION, 1, ' or "off"');
    if (failures === 0) {
      if (ceilingPercent !== undefined) this.report("AnnotationIgnored", EJECTION_CEILING, `${EJECTION} is off`);
      return { failures };
    }
    return {
      ...(failures === undefined ? {} : { failures }),
      ...(ceilingPercent === undefined ? {} : { ceilingPercent }),
    };
  }

  #limits(): Limits | undefined {
    const maxConnections = this.#count(MAX_CONNECTIONS);
    const maxPending = this.#count(MAX_PENDING, 0);
    if (this.value(MAX_PENDING) !== undefined && this.value(MAX_CONNECTIONS) === undefined)
      this.report("AnnotationIgnored", MAX_PENDING, `${MAX_CONNECTIONS} is not set, so nothing has to wait`);
    if (maxConnections === undefined) return undefined;
    return { maxConnections, ...(maxPending === undefined ? {} : { maxPending }) };
  }

  #timeouts(trafficType: TrafficType): Timeouts {
    if (trafficType === "udp") return {};
    const connectMs = this.#durationMs(CONNECT_TIMEOUT);
    const idleMs = this.#durationMs(IDLE_TIMEOUT, LEAST_IDLE_MS);
    const requestMs = trafficType === "http" ? this.#durationMs(REQUEST_TIMEOUT) : undefined;
    const tryMs = trafficType === "http" ? this.#durationMs(TRY_TIMEOUT) : undefined;
    return {
      ...(connectMs === undefined ? {} : { connectMs }),
      ...(requestMs === undefined ? {} : { requestMs }),
      ...(tryMs === undefined ? {} : { tryMs }),
      ...(idleMs === undefined ? {} : { idleMs }),
    };
  }

  middlewares(): Middlewares {
    const retry = this.#retry();
    const average = this.#count(AVERAGE);
    const burst = this.#count(BURST);
    const expression = this.#breaker();
    const [present, absent] = this.value(AVERAGE) === undefined ? [BURST, AVERAGE] : [AVERAGE, BURST];
    if (this.value(present as Key) !== undefined && this.value(absent as Key) === undefined)
      this.report("RateLimitIncomplete", present as Key, `${absent} is not set`);
    return {
      ...(average === undefined || burst === undefined ? {} : { rateLimit: { average, burst } }),
      ...(expression === undefined ? {} : { circuitBreaker: { expression } }),
      ...(retry === undefined ? {} : { retry }),
    };
  }

  #retry(): Retry | undefined {
    const attempts = this.#count(RETRY);
    const conditions = this.#retryOn();
    const budgetPercent = this.#percent(RETRY_BUDGET);
    if (this.value(RETRY) === undefined)
      for (const key of RETRY_KEYS)
        if (this.value(key) !== undefined)
          this.report("AnnotationIgnored", key, `${RETRY} is not set, so nothing is tried again`);
    if (attempts === undefined) return undefined;
    return { attempts, ...conditions, ...(budgetPercent === undefined ? {} : { budgetPercent }) };
  }

  #retryOn(): Pick<Retry, "on" | "statuses"> {
    const text = this.value(RETRY_ON);
    if (text === undefined) return {};
    const parsed = parseRetryOn(text);
    if ("on" in parsed) return parsed;
    this.report("AnnotationInvalid", RETRY_ON, parsed.error);
    return {};
  }

  #percent(key: Key): number | undefined {
    const text = this.value(key);
    if (text === undefined) return undefined;
    const percent = /^\d+%$/.test(text) ? Number(text.slice(0, -1)) : Number.NaN;
    if (percent >= 1 && percent <= 100) return percent;
    this.report("AnnotationInvalid", key, `"${text}" is no percentage from 1% to 100%`);
    return undefined;
  }

  /** @returns undefined for any other scheme than https */
  tls(scheme: string): UpstreamTls | undefined {
    if (scheme !== "https") {
      for (const key of TLS_KEYS)
        if (this.value(key) !== undefined)
          this.report("AnnotationIgnored", key, `it is for scheme https, and this Service's scheme is ${scheme}`);
      return undefined;
    }
    const { name, namespace } = this.#service.meta;
    return { verify: this.#tlsVerify(), serverName: this.#tlsServerName() ?? `${name}.${namespace}.svc` };
  }

  /** What cannot be read leaves the check on. */
  #tlsVerify(): boolean {
    const text = this.value(TLS_VERIFY) ?? "true";
    if (text === "true" || text === "false") return text === "true";
    this.report("AnnotationInvalid", TLS_VERIFY, `"${text}" is neither "true" nor "false"`);
    return true;
  }

  #tlsServerName(): string | undefined {
    const text = this.value(TLS_SERVER_NAME);
    if (text === undefined || HOST_NAME.test(text)) return text;
    this.report("AnnotationInvalid", TLS_SERVER_NAME, `"${text}" is no host name`);
    return undefined;
  }

  #count(key: Key, least = 1, orElse = ""): number | undefined {
    const text = this.value(key);
    if (text === undefined) return undefined;
    const count = /^\+?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (count >= least && count <= MAX_COUNT) return count;
    this.report(
      "AnnotationInvalid",
      key,
      `"${text}" is not a whole number ${least === 0 ? "from 0" : "above 0"}${orElse}`,
    );
    return undefined;
  }

  #durationMs(key: Key, leastMs = 1): number | undefined {
    const text = this.value(key);
    if (text === undefined) return undefined;
    const ms = parseGoDuration(text);
    if (ms !== undefined && ms >= leastMs && ms <= MAX_DURATION_MS) return Math.round(ms);
    const least = leastMs === 1 ? "1ms" : `${leastMs / 1000}s`;
    this.report("AnnotationInvalid", key, `"${text}" is no duration from ${least} to 24h such as "1.5s" or "500ms"`);
    return undefined;
  }

  #breaker() {
    const text = this.value(BREAKER);
    if (text === undefined) return undefined;
    const parsed = parseBreaker(text);
    if ("expression" in parsed) return parsed.expression;
    this.report("AnnotationInvalid", BREAKER, `"${text}" is no circuit breaker expression: ${parsed.error}`);
    return undefined;
  }

  #add(code: ProblemCode, annotation: string, detail: string): void {
    this.#problems.push(problem(code, refOf(this.#service), `metadata.annotations["${annotation}"]`, detail));
  }
}

function isOwn(key: Key): key is OwnKey {
  return OWN_KEYS.some((each) => each === key);
}
