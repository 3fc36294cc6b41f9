import type { BreakerComparison, BreakerExpression } from "../config/mesh-config.ts";

/** A circuit breaker's expression as Traefik reads it: a ratio always has a point, a latency never. */
export function breakerText(expression: BreakerExpression): string {
  if ("any" in expression) return expression.any.map(part).join(" || ");
  if ("all" in expression) return expression.all.map(part).join(" && ");
  return `${metric(expression)} ${expression.operator} ${
    expression.metric === "latencyAtQuantileMs" ? expression.value.toFixed(0) : float(expression.value)
  }`;
}

function part(expression: BreakerExpression): string {
  const text = breakerText(expression);
  return "any" in expression || "all" in expression ? `(${text})` : text;
}

function metric(comparison: BreakerComparison): string {
  switch (comparison.metric) {
    case "networkErrorRatio":
      return "NetworkErrorRatio()";
    case "responseCodeRatio":
      return `ResponseCodeRatio(${comparison.codes.join(", ")})`;
    case "latencyAtQuantileMs":
      return `LatencyAtQuantileMS(${float(comparison.quantile)})`;
  }
}

/** Without an exponent, which JavaScript writes below 0.000001. */
function float(value: number): string {
  const text = String(value);
  if (/^\d+$/.test(text)) return `${text}.0`;
  return text.includes("e") ? value.toFixed(20).replace(/0+$/, "") : text;
}
