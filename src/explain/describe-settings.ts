/** What a service port asks of the mesh beside its routes, in the words of its annotations. */
import type { Balancing, Limits, Retry, ServicePort, Timeouts } from "../config/mesh-config.ts";

const ALGORITHMS = { leastRequests: "least-requests", ewma: "ewma", roundRobin: "round-robin" } as const;

/** @returns one phrase for each; none where everything is as the proxy has it */
export function describeSettings({ middlewares, timeouts, limits, balancing }: ServicePort): readonly string[] {
  const { rateLimit, circuitBreaker, retry } = middlewares;
  return [
    ...(rateLimit === undefined ? [] : [`ratelimit ${rateLimit.average} a second, ${rateLimit.burst} at once`]),
    ...(circuitBreaker === undefined ? [] : ["circuit-breaker-expression"]),
    ...(retry === undefined ? [] : describeRetry(retry)),
    ...(timeouts === undefined ? [] : describeTimeouts(timeouts)),
    ...(limits === undefined ? [] : describeLimits(limits)),
    ...(balancing === undefined ? [] : describeBalancing(balancing)),
  ];
}

function describeRetry({ attempts, on, statuses = [], budgetPercent }: Retry): string[] {
  const ranges = statuses.map(([from, to]) => (to - from === 1 ? `${from}` : `${from} to ${to - 1}`));
  const conditions = [...(on ?? []).map((each) => (each === "connectFailure" ? "connect-failure" : each)), ...ranges];
  return [
    `retry-attempts ${attempts}`,
    ...(on === undefined ? [] : [`retry-on ${conditions.join(" and ")}`]),
    ...(budgetPercent === undefined ? [] : [`retry-budget ${budgetPercent}%`]),
  ];
}

function describeTimeouts({ connectMs, requestMs, tryMs, idleMs }: Timeouts): string[] {
  const named = { "connect-timeout": connectMs, "request-timeout": requestMs, "try-timeout": tryMs };
  return Object.entries({ ...named, "idle-timeout": idleMs }).flatMap(([name, ms]) =>
    ms === undefined ? [] : [`${name} ${ms / 1000}s`],
  );
}

function describeLimits({ maxConnections, maxPending }: Limits): string[] {
  const pending = maxPending === undefined ? [] : [`max-pending ${maxPending}`];
  return [`max-connections ${maxConnections}`, ...pending];
}

function describeBalancing({ algorithm, slowStartMs, ejection, prefer }: Balancing): string[] {
  const { failures, ceilingPercent } = ejection ?? {};
  return [
    ...(algorithm === undefined ? [] : [`load-balancing ${ALGORITHMS[algorithm]}`]),
    ...(slowStartMs === undefined ? [] : [`slow-start ${slowStartMs / 1000}s`]),
    ...(failures === undefined ? [] : [`ejection ${failures === 0 ? "off" : failures}`]),
    ...(ceilingPercent === undefined ? [] : [`ejection-ceiling ${ceilingPercent}%`]),
    ...(prefer === undefined ? [] : [`endpoints of the same ${prefer} first`]),
  ];
}
