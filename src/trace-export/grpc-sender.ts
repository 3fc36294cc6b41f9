import { Client, type ClientUnaryCall, credentials, Metadata, status } from "@grpc/grpc-js";
import type { Clock } from "../model/clock.ts";
import type { Span } from "../proxy/tracing/span.ts";
import type { OtlpEncoding } from "./otlp-encoding.ts";
import { SEND_TIMEOUT_MS, type SendOutcome, type SpanSender } from "./span-sender.ts";

export interface GrpcSenderOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly encoding: OtlpEncoding;
  readonly clock: Clock;
}

const METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/** After which OTLP's specification has a client try again. */
const AGAIN = new Set([
  ...[status.CANCELLED, status.DEADLINE_EXCEEDED, status.RESOURCE_EXHAUSTED, status.ABORTED],
  ...[status.OUT_OF_RANGE, status.UNAVAILABLE, status.DATA_LOSS],
]);

/** OTLP over gRPC. */
export class GrpcSender implements SpanSender {
  readonly #options: GrpcSenderOptions;
  readonly #client: Client;
  readonly #metadata = new Metadata();
  #underWay: ClientUnaryCall | undefined;

  constructor(options: GrpcSenderOptions) {
    this.#options = options;
    const { protocol, hostname, port } = new URL(options.url);
    const isSecure = protocol === "https:";
    const target = `dns:${hostname}:${port || (isSecure ? "443" : "80")}`;
    this.#client = new Client(target, isSecure ? credentials.createSsl() : credentials.createInsecure());
    for (const [name, value] of Object.entries(options.headers)) this.#metadata.set(name, value);
  }

  send(spans: readonly Span[]): Promise<SendOutcome> {
    const { encoding, clock } = this.#options;
    const deadline = clock.wall() + SEND_TIMEOUT_MS;
    return new Promise((resolve) => {
      this.#underWay = this.#client.makeUnaryRequest(
        METHOD,
        Buffer.from,
        asIs,
        encoding.encode(spans),
        this.#metadata,
        { deadline },
        (error, answer) => {
          if (error === null) resolve({ taken: true, refused: encoding.refusedIn(answer ?? new Uint8Array()) });
          else
            resolve({ taken: false, reason: `${status[error.code]}: ${error.details}`, again: AGAIN.has(error.code) });
        },
      );
    });
  }

  close(): void {
    // Else it would hold up the end of the process until its deadline.
    this.#underWay?.cancel();
    this.#client.close();
  }
}

const asIs = (bytes: Buffer): Uint8Array => bytes;
