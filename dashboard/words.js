/** What a configuration says, in words. */

/** @typedef {import("../src/config/mesh-config.ts").HttpMatch} HttpMatch */
/** @typedef {import("../src/config/mesh-config.ts").ServicePort} ServicePort */
/** @typedef {import("../src/config/mesh-config.ts").BreakerExpression} BreakerExpression */

const PATHS = { exact: "path", prefix: "path below", regex: "path like" };

/** @param {HttpMatch} match */
export function matchText({ name, path, methods, headers = [], query = [] }) {
  const parts = [
    methods?.join(" or "),
    path !== undefined && `${PATHS[path.type]} ${path.value}`,
    ...headers.map((field) => `header ${field.name} ${field.type === "exact" ? "is" : "like"} ${field.value}`),
    ...query.map((field) => `query ${field.name} ${field.type === "exact" ? "is" : "like"} ${field.value}`),
  ].filter(Boolean);
  const says = parts.join(", ") || "anything";
  return name === undefined ? says : `${says} (${name})`;
}

/** @param {ServicePort} servicePort @returns {[string, string][]} */
export function settingTexts({ middlewares, timeouts, limits, balancing, tls }) {
  const { rateLimit, circuitBreaker, retry } = middlewares;
  /** @type {[string, string | undefined][]} */
  const found = [
    ["Rate limit", rateLimit && `${rateLimit.average} a second for each caller, ${rateLimit.burst} at once`],
    ["Circuit breaker", circuitBreaker && `opens at ${breakerText(circuitBreaker.expression)}`],
    ["Retries", retry && retryText(retry)],
    ["Time-outs", timeouts && timesText(timeouts)],
    [
      "Limits",
      limits &&
        `${limits.maxConnections} connections${limits.maxPending === undefined ? "" : `, ${limits.maxPending} calls wait`}`,
    ],
    ["Balancing", balancing && balancingText(balancing)],
    ["TLS", tls && `for ${tls.serverName}${tls.verify ? "" : ", certificates are not verified"}`],
  ];
  return found.flatMap(([term, says]) => (says === undefined ? [] : [[term, says]]));
}

/** @param {NonNullable<ServicePort["middlewares"]["retry"]>} retry */
function retryText({ attempts, on, statuses = [], budgetPercent }) {
  const ranges = statuses.map(([from, to]) => (to - from === 1 ? `${from}` : `${from} to ${to - 1}`));
  const conditions = [...(on ?? ["any failure"]), ...ranges].join(", ");
  return `${attempts} tries in all, on ${conditions}${budgetPercent === undefined ? "" : `, at most ${budgetPercent} % of the calls`}`;
}

/** @param {NonNullable<ServicePort["timeouts"]>} timeouts */
function timesText({ connectMs, tryMs, requestMs, idleMs }) {
  const named = { connect: connectMs, "each try": tryMs, "the whole call": requestMs, idle: idleMs };
  return Object.entries(named)
    .flatMap(([name, ms]) => (ms === undefined ? [] : [`${name} ${ms / 1000} s`]))
    .join(", ");
}

/** @param {NonNullable<ServicePort["balancing"]>} balancing */
function balancingText({ algorithm, slowStartMs, ejection, prefer }) {
  const names = { leastRequests: "least requests", ewma: "the fastest (EWMA)", roundRobin: "round robin" };
  return [
    algorithm !== undefined && names[algorithm],
    slowStartMs !== undefined && `new endpoints warm up for ${slowStartMs / 1000} s`,
    prefer !== undefined && `endpoints of the same ${prefer} first`,
    ejection?.failures !== undefined &&
      (ejection.failures === 0 ? "none is left out" : `left out after ${ejection.failures} failures`),
    ejection?.ceilingPercent !== undefined && `at most ${ejection.ceilingPercent} % left out`,
  ]
    .filter(Boolean)
    .join(", ");
}

/** @param {BreakerExpression} expression @returns {string} */
function breakerText(expression) {
  if ("any" in expression) return expression.any.map(breakerText).join(" or ");
  if ("all" in expression) return expression.all.map(breakerText).join(" and ");
  const { metric, operator, value } = expression;
  if (metric === "networkErrorRatio") return `network errors ${operator} ${value}`;
  if (metric === "latencyAtQuantileMs") return `latency at ${expression.quantile} ${operator} ${value} ms`;
  return `answers ${expression.codes[0]} to ${expression.codes[1] - 1} ${operator} ${value}`;
}
