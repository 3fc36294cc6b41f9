/** Collectors that read what they are sent: OTLP by OpenTelemetry's own definitions of it, Zipkin by its own schema. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import type net from "node:net";
import { fileURLToPath } from "node:url";
import { type handleUnaryCall, Server, ServerCredentials, type ServiceDefinition } from "@grpc/grpc-js";
import { loadSync, type MessageTypeDefinition } from "@grpc/proto-loader";
import { z } from "zod";

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** "" for none. */
  readonly parentId: string;
  readonly name: string;
  readonly kind: string;
  /** Microseconds since the epoch. */
  readonly startMicros: number;
  readonly endMicros: number;
  readonly failed: boolean;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
}

interface Value {
  readonly stringValue?: string;
  readonly intValue?: string | number;
  readonly boolValue?: boolean;
}
interface Attribute {
  readonly key: string;
  readonly value: Value;
}
interface OtlpRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}
interface OtlpSpan {
  /** Bytes of protobuf; in JSON, hexadecimal digits. */
  readonly traceId: Buffer | string;
  readonly spanId: Buffer | string;
  readonly parentSpanId?: Buffer | string;
  readonly name: string;
  readonly kind: string | number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status?: { readonly code?: string | number };
  readonly attributes: readonly Attribute[];
}

const PROTOS = fileURLToPath(new URL(".", import.meta.url));
const TRACE_SERVICE = "opentelemetry/proto/collector/trace/v1/trace_service.proto";
const definitions = loadSync(TRACE_SERVICE, { includeDirs: [PROTOS], longs: String, enums: String });
const requestType = definitions[
  "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest"
] as MessageTypeDefinition<object, object>;
const traceService = definitions["opentelemetry.proto.collector.trace.v1.TraceService"] as ServiceDefinition;
const zipkinSchema = z.fromJSONSchema(JSON.parse(readFileSync(`${PROTOS}/zipkin-spans.schema.json`, "utf8")));

/** Answers to the next requests, before all is well again: a status of HTTP, or a code of gRPC. */
interface Fault {
  readonly status: number;
  readonly headers?: Record<string, string>;
}

export class TestCollector {
  readonly spans: ReceivedSpan[] = [];
  readonly headers: Readonly<Record<string, unknown>>[] = [];
  /** Taken one by one by the requests that come. */
  readonly faults: Fault[] = [];
  /** Spans that it says it would not have. */
  rejects = 0;
  /** Over gRPC: called in place of an answer, which never comes. */
  onSilence: (() => void) | undefined;
  endpoint = "";
  #close: () => void = () => {};

  static async grpc(): Promise<TestCollector> {
    const collector = new TestCollector();
    const exportSpans: handleUnaryCall<OtlpRequest, object> = ({ request, metadata }, done) => {
      const fault = collector.#begin(metadata.getMap());
      if (collector.onSilence !== undefined) collector.onSilence();
      else if (fault !== undefined) done({ code: fault.status, details: "as the test wants" });
      else {
        collector.#takeOtlp(request);
        done(null, { partialSuccess: { rejectedSpans: collector.rejects } });
      }
    };
    const server = new Server();
    server.addService(traceService, {
      Export: exportSpans,
    });
    const bound = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, found) =>
        error === null ? resolve(found) : reject(error),
      ),
    );
    collector.endpoint = `http://127.0.0.1:${bound}`;
    collector.#close = () => server.forceShutdown();
    return collector;
  }

  /** OTLP at /v1/traces, in protobuf or JSON; Zipkin at /api/v2/spans. */
  static async http(): Promise<TestCollector> {
    const collector = new TestCollector();
    const server = http.createServer(async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece as Buffer);
      const fault = collector.#begin(request.headers);
      if (fault === undefined) collector.#takeHttp(request, Buffer.concat(pieces));
      response.writeHead(fault?.status ?? 200, fault?.headers).end();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    collector.endpoint = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`;
    collector.#close = () => {
      server.close();
      server.closeAllConnections();
    };
    return collector;
  }

  close(): void {
    this.#close();
  }

  #begin(headers: Readonly<Record<string, unknown>>): Fault | undefined {
    this.headers.push(headers);
    return this.faults.shift();
  }

  #takeHttp({ url, headers }: http.IncomingMessage, body: Buffer): void {
    if (url === "/api/v2/spans") this.#takeZipkin(body);
    else if (url !== "/v1/traces") throw new Error(`nothing is served at ${url}`);
    else if (headers["content-type"] === "application/json") this.#takeOtlp(JSON.parse(body.toString()) as OtlpRequest);
    else this.#takeOtlp(requestType.deserialize(body) as OtlpRequest);
  }

  #takeOtlp({ resourceSpans }: OtlpRequest): void {
    for (const { resource, scopeSpans } of resourceSpans)
      for (const span of scopeSpans.flatMap(({ spans }) => spans))
        this.spans.push({
          traceId: hexOf(span.traceId),
          spanId: hexOf(span.spanId),
          parentId: hexOf(span.parentSpanId ?? ""),
          name: span.name,
          kind: span.kind === 2 || span.kind === "SPAN_KIND_SERVER" ? "server" : "client",
          startMicros: Number(span.startTimeUnixNano) / 1000,
          endMicros: Number(span.endTimeUnixNano) / 1000,
          failed: span.status?.code === 2 || span.status?.code === "STATUS_CODE_ERROR",
          attributes: attributesOf(span.attributes),
          resource: attributesOf(resource.attributes),
        });
  }

  /** @throws where it is not as Zipkin's schema wants it */
  #takeZipkin(body: Buffer): void {
    const spans = JSON.parse(body.toString()) as Record<string, never>[];
    zipkinSchema.parse(spans);
    for (const { traceId, id, parentId, name, kind, timestamp, duration, tags, localEndpoint } of spans)
      this.spans.push({
        traceId: String(traceId),
        spanId: String(id),
        parentId: String(parentId ?? ""),
        name: String(name),
        kind: String(kind).toLowerCase(),
        startMicros: Number(timestamp),
        endMicros: Number(timestamp) + Number(duration),
        failed: Object.hasOwn(tags ?? {}, "error"),
        attributes: tags ?? {},
        resource: { "service.name": (localEndpoint as { serviceName?: string } | undefined)?.serviceName },
      });
  }
}

const hexOf = (id: Buffer | string): string => (typeof id === "string" ? id : id.toString("hex"));

function attributesOf(list: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(
    list.map(({ key, value: { stringValue, intValue, boolValue } }) => [
      key,
      stringValue ?? boolValue ?? Number(intValue),
    ]),
  );
}
