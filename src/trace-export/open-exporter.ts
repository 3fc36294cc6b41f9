/** Loaded where spans are exported, and nowhere else: OpenTelemetry's and gRPC's libraries take their time and memory. */
import type { Clock } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { Collector } from "./collector.ts";
import { GrpcSender } from "./grpc-sender.ts";
import { HttpSender } from "./http-sender.ts";
import { OtlpEncoding, type ResourceAttributes } from "./otlp-encoding.ts";
import { SpanQueue } from "./span-queue.ts";
import type { SpanSender } from "./span-sender.ts";
import { zipkinJson } from "./zipkin-encoding.ts";

export interface ExporterOptions {
  readonly collector: Collector;
  /** Sent with each request: name, value. */
  readonly headers: Readonly<Record<string, string>>;
  readonly resource: ResourceAttributes;
  readonly clock: Clock;
  readonly log: Log;
}

export function openExporter(options: ExporterOptions): SpanQueue {
  const { collector, clock, log } = options;
  // Without what may be secret in it.
  const { origin, pathname } = new URL(collector.url);
  const shown = `${collector.protocol} ${origin}${pathname}`;
  return new SpanQueue({ sender: senderOf(options), collector: shown, clock, log });
}

function senderOf({ collector, headers, resource, clock }: ExporterOptions): SpanSender {
  const { protocol, url } = collector;
  if (protocol === "zipkin")
    return new HttpSender({
      ...{ url, headers, clock, contentType: "application/json" },
      encode: (spans) => zipkinJson(spans, resource),
      refusedIn: () => 0,
    });
  const encoding = new OtlpEncoding(protocol === "otlp-json" ? "json" : "protobuf", resource);
  if (protocol === "otlp-grpc") return new GrpcSender({ url, headers, encoding, clock });
  return new HttpSender({
    ...{ url, headers, clock },
    contentType: protocol === "otlp-json" ? "application/json" : "application/x-protobuf",
    encode: (spans) => encoding.encode(spans),
    refusedIn: (answer) => encoding.refusedIn(answer),
  });
}
