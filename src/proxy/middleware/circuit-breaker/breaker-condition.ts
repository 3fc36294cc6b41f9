/** A breaker's expression, compiled to objects that count what they compare. */
import type { BreakerComparison, BreakerExpression, BreakerOperator } from "../../../config/mesh-config.ts";
import { LatencyWindow } from "./latency-window.ts";

const BUCKET_MS = 1000;
const BUCKETS = 10;

export interface BreakerCondition {
  holds(now: number): boolean;
}

/** What the comparisons of one expression count: a response is recorded here once. */
export class BreakerMetrics {
  readonly #shares: RollingShare[] = [];
  #latencies: LatencyWindow | undefined;

  record(now: number, status: number, latencyMs: number): void {
    for (let index = 0; index < this.#shares.length; index++) (this.#shares[index] as RollingShare).record(now, status);
    if (this.#latencies !== undefined) this.#latencies.record(now, latencyMs);
  }

  reset(): void {
    for (const share of this.#shares) share.reset();
    this.#latencies?.reset();
  }

  share(codes: StatusRanges | undefined): RollingShare {
    const share = new RollingShare(codes);
    this.#shares.push(share);
    return share;
  }

  latencies(): LatencyWindow {
    this.#latencies ??= new LatencyWindow();
    return this.#latencies;
  }
}

/** from, to, dividedByFrom, dividedByTo; the ends are not in. */
type StatusRanges = readonly [number, number, number, number];

/** A share of the answers of the last ten seconds, in buckets of one. */
class RollingShare {
  readonly #codes: StatusRanges | undefined;
  readonly #parts = new Float64Array(BUCKETS);
  readonly #wholes = new Float64Array(BUCKETS);
  #part = 0;
  #whole = 0;
  #second = 0;

  /** @param codes absent: network errors (502, 504) among all */
  constructor(codes: StatusRanges | undefined) {
    this.#codes = codes;
  }

  record(now: number, status: number): void {
    this.#advance(now);
    const codes = this.#codes;
    const isPart = codes === undefined ? status === 502 || status === 504 : status >= codes[0] && status < codes[1];
    const isWhole = codes === undefined || (status >= codes[2] && status < codes[3]);
    const bucket = this.#second % BUCKETS;
    if (isPart) {
      this.#parts[bucket] = (this.#parts[bucket] as number) + 1;
      this.#part++;
    }
    if (isWhole) {
      this.#wholes[bucket] = (this.#wholes[bucket] as number) + 1;
      this.#whole++;
    }
  }

  /** 0 where there is nothing to divide by. */
  value(now: number): number {
    this.#advance(now);
    return this.#whole === 0 ? 0 : this.#part / this.#whole;
  }

  reset(): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) this.#clear(bucket);
  }

  #advance(now: number): void {
    const second = Math.floor(now / BUCKET_MS);
    const passed = Math.min(BUCKETS, second - this.#second);
    for (let step = 0; step < passed; step++) this.#clear((second - step) % BUCKETS);
    if (passed > 0) this.#second = second;
  }

  #clear(bucket: number): void {
    this.#part -= this.#parts[bucket] as number;
    this.#whole -= this.#wholes[bucket] as number;
    this.#parts[bucket] = 0;
    this.#wholes[bucket] = 0;
  }
}

/** An empty `any` or `all` never holds: a breaker without a condition does not open. */
export function compileCondition(expression: BreakerExpression, metrics: BreakerMetrics): BreakerCondition {
  if ("any" in expression) return new Any(expression.any.map((part) => compileCondition(part, metrics)));
  if ("all" in expression) return new All(expression.all.map((part) => compileCondition(part, metrics)));
  return compileComparison(expression, metrics);
}

function compileComparison(comparison: BreakerComparison, metrics: BreakerMetrics): BreakerCondition {
  const { operator, value } = comparison;
  switch (comparison.metric) {
    case "networkErrorRatio":
      return new ShareComparison(metrics.share(undefined), operator, value);
    case "responseCodeRatio":
      return new ShareComparison(metrics.share(comparison.codes), operator, value);
    case "latencyAtQuantileMs":
      return new LatencyComparison(metrics.latencies(), comparison.quantile, operator, value);
  }
}

class Any implements BreakerCondition {
  readonly #parts: readonly BreakerCondition[];

  constructor(parts: readonly BreakerCondition[]) {
    this.#parts = parts;
  }

  holds(now: number): boolean {
    for (const part of this.#parts) if (part.holds(now)) return true;
    return false;
  }
}

class All implements BreakerCondition {
  readonly #parts: readonly BreakerCondition[];

  constructor(parts: readonly BreakerCondition[]) {
    this.#parts = parts;
  }

  holds(now: number): boolean {
    for (const part of this.#parts) if (!part.holds(now)) return false;
    return this.#parts.length > 0;
  }
}

class ShareComparison implements BreakerCondition {
  readonly #share: RollingShare;
  readonly #operator: BreakerOperator;
  readonly #value: number;

  constructor(share: RollingShare, operator: BreakerOperator, value: number) {
    this.#share = share;
    this.#operator = operator;
    this.#value = value;
  }

  holds(now: number): boolean {
    return compare(this.#share.value(now), this.#operator, this.#value);
  }
}

class LatencyComparison implements BreakerCondition {
  readonly #latencies: LatencyWindow;
  readonly #quantile: number;
  readonly #operator: BreakerOperator;
  readonly #valueMs: number;

  constructor(latencies: LatencyWindow, quantile: number, operator: BreakerOperator, valueMs: number) {
    this.#latencies = latencies;
    this.#quantile = quantile;
    this.#operator = operator;
    this.#valueMs = valueMs;
  }

  holds(now: number): boolean {
    return compare(this.#latencies.quantileMs(now, this.#quantile), this.#operator, this.#valueMs);
  }
}

function compare(left: number, operator: BreakerOperator, right: number): boolean {
  switch (operator) {
    case ">":
      return left > right;
    case ">=":
      return left >= right;
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case "==":
      return left === right;
    case "!=":
      return left !== right;
  }
}
