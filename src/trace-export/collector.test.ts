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

test.each<[string, TraceProtocol | undefined, RegExp]>([
  ["otel", undefined, /^"otel" is no URL such as http:/],
  ["http://otel", undefined, /^Port \(none\) does not say the protocol: .*otlp-grpc, otlp-http, otlp-json, zipkin/],
  ["http://otel:9999", undefined, /^Port 9999 does not say/],
  ["jaeger-agent.traefik-mesh.svc:6831", undefined, /Jaeger takes OTLP: port 4317 or 4318\.$/],
  ["http://otel:4317/v1/traces", undefined, /is otlp-http meant/],
  ["http://me:secret@otel:4318", undefined, /^Who sends is told by a header/],
  ["ftp://otel:4318", undefined, /is no URL such as/],
  ["http://", undefined, /is no URL such as/],
])("%s (%s) is none, and it is said why", (endpoint, protocol, expected) => {
  expect(collectorOf(endpoint, protocol)).toMatch(expected);
});
