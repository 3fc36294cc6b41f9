import { expect, test } from "vitest";
import type { ServicePort } from "../config/mesh-config.ts";
import { describeSettings } from "./describe-settings.ts";

const PLAIN: ServicePort = {
  namespace: "n",
  service: "s",
  port: 80,
  trafficType: "http",
  scheme: "http",
  middlewares: {},
  endpoints: {},
};

test("a Service without annotations asks for nothing", () => {
  expect(describeSettings(PLAIN)).toEqual([]);
});

test("what is asked for is said in the words of the annotations", () => {
  const all: ServicePort = {
    ...PLAIN,
    middlewares: {
      rateLimit: { average: 100, burst: 200 },
      circuitBreaker: { expression: { metric: "networkErrorRatio", operator: ">", value: 0.3 } },
      retry: {
        attempts: 3,
        on: ["connectFailure", "reset"],
        statuses: [
          [429, 430],
          [502, 505],
        ],
        budgetPercent: 10,
      },
    },
    timeouts: { connectMs: 500, requestMs: 30_000, tryMs: 1_500, idleMs: 60_000 },
    limits: { maxConnections: 100, maxPending: 0 },
    balancing: {
      algorithm: "ewma",
      slowStartMs: 10_000,
      ejection: { failures: 0, ceilingPercent: 30 },
      prefer: "zone",
    },
  };
  expect(describeSettings(all)).toEqual([
    "ratelimit 100 a second, 200 at once",
    "circuit-breaker-expression",
    "retry-attempts 3",
    "retry-on connect-failure and reset and 429 and 502 to 504",
    "retry-budget 10%",
    "connect-timeout 0.5s",
    "request-timeout 30s",
    "try-timeout 1.5s",
    "idle-timeout 60s",
    "max-connections 100",
    "max-pending 0",
    "load-balancing ewma",
    "slow-start 10s",
    "ejection off",
    "ejection-ceiling 30%",
    "endpoints of the same zone first",
  ]);
});
