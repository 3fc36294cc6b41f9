/** Spans as OpenTelemetry's own library writes them in OTLP. */
import { SpanKind, SpanStatusCode, TraceFlags } from "@opentelemetry/api";
import { JsonTraceSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import type { Span } from "../proxy/tracing/span.ts";

/** What made the spans: `service.name`, `k8s.pod.name` … */
export type ResourceAttributes = Readonly<Record<string, string>>;

type OtelSpan = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0][number];

const CODECS = { protobuf: ProtobufTraceSerializer, json: JsonTraceSerializer };

export class OtlpEncoding {
  readonly #codec: (typeof CODECS)[keyof typeof CODECS];
  readonly #resource: OtelSpan["resource"];
  readonly #scope: OtelSpan["instrumentationScope"];

  constructor(format: keyof typeof CODECS, resource: ResourceAttributes) {
    this.#codec = CODECS[format];
    this.#resource = resourceFromAttributes(resource);
    this.#scope = { name: "tulle", version: resource["service.version"] ?? "" };
  }

  encode(spans: readonly Span[]): Uint8Array {
    return this.#codec.serializeRequest(spans.map((span) => this.#convert(span))) ?? new Uint8Array();
  }

  /** @returns how many spans the collector would not have, from its answer */
  refusedIn(answer: Uint8Array): number {
    try {
      return Number(this.#codec.deserializeResponse(answer).partialSuccess?.rejectedSpans ?? 0);
    } catch {
      // It said that it took them; how it says so is its own affair.
      return 0;
    }
  }

  #convert(span: Span): OtelSpan {
    const { traceId, attributes, failed, name, kind } = span;
    const context = { traceId, spanId: span.spanId, traceFlags: TraceFlags.SAMPLED };
    const parent = { traceId, spanId: span.parentId, traceFlags: TraceFlags.SAMPLED };
    return {
      name,
      kind: kind === "server" ? SpanKind.SERVER : SpanKind.CLIENT,
      spanContext: () => context,
      ...(span.parentId === "" ? {} : { parentSpanContext: parent }),
      startTime: hrTime(span.startMs),
      endTime: hrTime(span.endMs),
      duration: hrTime(span.endMs - span.startMs),
      status: { code: failed ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
      attributes,
      links: [],
      events: [],
      ended: true,
      resource: this.#resource,
      instrumentationScope: this.#scope,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  }
}

/** Seconds, and nanoseconds of the next one. */
function hrTime(ms: number): [number, number] {
  const micros = Math.round(ms * 1000);
  return [Math.floor(micros / 1_000_000), (micros % 1_000_000) * 1000];
}
