/** Spans in Zipkin's format, version 2 of its API. */
import { isIPv6 } from "node:net";
import type { Span } from "../proxy/tracing/span.ts";
import type { ResourceAttributes } from "./otlp-encoding.ts";

export function zipkinJson(spans: readonly Span[], resource: ResourceAttributes): string {
  const serviceName = resource["service.name"] ?? "";
  return JSON.stringify(spans.map((span) => zipkinSpan(span, serviceName, resource)));
}

function zipkinSpan(span: Span, serviceName: string, resource: ResourceAttributes) {
  const { attributes, kind, startMs, endMs, failed } = span;
  const tags: Record<string, string> = { ...resource };
  for (const [name, value] of Object.entries(attributes)) tags[name] = String(value);
  // That it is there says that the span failed, whatever is in it.
  if (failed) tags["error"] = tags["error.type"] ?? "true";
  const [address, port] =
    kind === "server"
      ? [attributes["client.address"], undefined]
      : [attributes["server.address"], Number(attributes["server.port"])];
  return {
    traceId: span.traceId,
    id: span.spanId,
    ...(span.parentId === "" ? {} : { parentId: span.parentId }),
    name: span.name,
    kind: kind === "server" ? "SERVER" : "CLIENT",
    timestamp: Math.round(startMs * 1000),
    // Less than one is one.
    duration: Math.max(Math.round((endMs - startMs) * 1000), 1),
    localEndpoint: { serviceName },
    remoteEndpoint: { ...endpointOf(String(address)), ...(port === undefined ? {} : { port }) },
    tags,
  };
}

const endpointOf = (address: string) => (isIPv6(address) ? { ipv6: address } : { ipv4: address });
