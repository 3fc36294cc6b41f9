import { expect, test } from "vitest";
import { collectorOf, type TraceProtocol } from "./collector.ts";

test.each<[string, TraceProtocol | undefined, string]>([
  ["http://otel.obs:4317", undefined, "otlp-grpc http://otel.obs:4317/"],
  ["otel.obs:4318", undefined, "otlp-http http://otel.obs:4318/v1/traces"],
  ["https://[fd00::1]:9411", undefined, "zipkin https://[fd00::1]:9411/api/v2/spans"],
  ["https://traces.example.com/otlp/v1/traces", "otlp-http", "otlp-http https://traces.example.com/otlp/v1/traces"],
  ["http://otel:4318", "otlp-json", "otlp-json http://otel:4318/v1/traces"],
  ["http://jaeger:6831", "otlp-grpc", "otlp-grpc http://jaeger:6831/"],
])("%s (%s) is %s", (endpoint, protocol, expected) => {
  const found = collectorOf(endpoint, protocol);
  expect(typeof found === "string" ? found : `${found.protocol} ${found.url}`).toBe(expected);
});

const PROTOCOLS = "--tracing-protocol (otlp-grpc, otlp-http, otlp-json, zipkin)";
test.each<[string, TraceProtocol | undefined, string]>([
  [
    "otel",
    undefined,
    `it has no port, which would say the protocol; write http://otel:4317 (or 4318, 9411), or give ${PROTOCOLS}`,
  ],
  [
    "http://otel",
    undefined,
    `it has no port, which would say the protocol; write http://otel:4317 (or 4318, 9411), or give ${PROTOCOLS}`,
  ],
  [
    "http://otel:",
    undefined,
    `it has no port, which would say the protocol; write http://otel:4317 (or 4318, 9411), or give ${PROTOCOLS}`,
  ],
  [
    "https://[fd00::1]/x",
    undefined,
    `it has no port, which would say the protocol; write https://[fd00::1]:4317 (or 4318, 9411), or give ${PROTOCOLS}`,
  ],
  [
    "http://otel:9999",
    undefined,
    `port 9999 does not say the protocol; write http://otel:4317 (or 4318, 9411), or give ${PROTOCOLS}`,
  ],
  [
    "https://otel:443",
    undefined,
    `port 443 does not say the protocol; write https://otel:4317 (or 4318, 9411), or give ${PROTOCOLS}`,
  ],
  ["http://otel:99999", undefined, '":99999" is no port from 1 to 65535; write http://otel:4317'],
  ["http://otel:99999", "otlp-http", '":99999" is no port from 1 to 65535; write http://otel:4317'],
  ["otel:0", undefined, '":0" is no port from 1 to 65535; write http://otel:4317'],
  ["otel:grpc", undefined, '":grpc" is no port from 1 to 65535; write http://otel:4317'],
  ["otel:4317 ,other:4317", undefined, '":4317 ,other:4317" is no port from 1 to 65535; write http://otel:4317'],
  ["http://otel:-1/v1", undefined, '":-1" is no port from 1 to 65535; write http://otel:4317'],
  [
    "jaeger-agent.traefik-mesh.svc:6831",
    undefined,
    "port 6831 is one of Jaeger's own protocols, which it has given up; write its port for OTLP, 4317 or 4318",
  ],
  [
    "http://otel:4317/v1/traces",
    undefined,
    "OTLP over gRPC has no path; leave out /v1/traces, or give --tracing-protocol otlp-http",
  ],
  [
    "http://me:secret@otel:4318",
    undefined,
    "it has a name or password, which would be in logs; send a header instead (--tracing-headers)",
  ],
  ["ftp://otel:4318", undefined, "a collector is spoken to by http or https, not by ftp; write http://otel:4317"],
  ["grpc://otel:4317", undefined, "a collector is spoken to by http or https, not by grpc; write http://otel:4317"],
  ["http://", undefined, "it has no host; write one such as http://collector:4317"],
  [":4317", undefined, "it has no host; write one such as http://collector:4317"],
  ["http://o tel:4317", undefined, "it is no URL; write one such as http://collector:4317"],
  ["http://[fd00::1:4317", undefined, "it is no URL; write one such as http://collector:4317"],
])("%s (%s) is none, and it is said why in one line, with the remedy", (endpoint, protocol, expected) => {
  expect(collectorOf(endpoint, protocol)).toBe(expected);
});
