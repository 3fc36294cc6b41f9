/**
 * Message heads in the form in which they came, HTTP/1.1's lines or HTTP/2's fields, which can be written in either. Both
 * are valid during one step: the bytes and tables behind them belong to the thread.
 */
import type { HeaderChange } from "../../config/mesh-config.ts";
import type { RequestView } from "../router/types.ts";
import type { HttpProtocol } from "./exchange-record.ts";

/** What the proxy adds to a request and changes of it. */
export interface ForwardOptions {
  /** This proxy's name: `X-Forwarded-Server`. */
  readonly server: string;
  readonly callerAddress: string;
  /** The service port's number, for X-Forwarded-Port. */
  readonly port: number;
  /** How the endpoint is spoken to: HTTP/2's `:scheme`. */
  readonly scheme: "http" | "https";
  /** Host for a request without one (HTTP/1.0). */
  readonly defaultHost: string;
  /** New path with query, and new host, where a route rewrites them. */
  readonly path: string | undefined;
  readonly host: string | undefined;
  readonly changes: readonly HeaderChange[];
  readonly added: AddedFields;
}

/** Fields that come besides, in both forms: each may take work, so only one of them is asked for. */
export interface AddedFields {
  /** Field lines. */
  readonly addedLines: string;
  /** Name, value, name, value …, names in lower case. */
  readonly addedFields: readonly string[];
}

export interface RequestHead {
  readonly protocol: HttpProtocol;
  readonly method: string;
  /** As received, with query. */
  readonly target: string;
  /** For route matches. */
  readonly view: RequestView;
  /** It asks for another protocol on this connection (RFC 9110 §7.8), and may have it. */
  readonly upgrade: boolean;
  /** No content follows. */
  readonly bodyless: boolean;
  /** How much follows is said; else its end shows. */
  readonly lengthKnown: boolean;
  /** Failures are told as gRPC tells them. */
  readonly isGrpc: boolean;
  /** It has a field that a trace is told in, whether that can be read or not. */
  readonly hasTraceContext: boolean;
  /** @returns request line, field lines and the empty line */
  toHttp1(options: ForwardOptions): string;
  /** @returns name, value, name, value …, pseudo fields first (RFC 9113 §8.3.1) */
  toHttp2(options: ForwardOptions): string[];
}

/** How an answer's content is passed on to the caller. */
export type AnswerFraming =
  /** As the head says: by length, none, or in the chunks in which it comes. */
  | "asSaid"
  /** Its end is told, and the head says nothing of it. */
  | "untold"
  /** There is none, and the head does not say so. */
  | "empty";

export interface AnswerOptions {
  readonly framing: AnswerFraming;
  /** To an HTTP/1.0 caller a connection is kept only where both say so. */
  readonly callerMinor: number;
  /** The connection ends with this answer. */
  readonly close: boolean;
  readonly changes: readonly HeaderChange[];
}

export interface AnswerHead {
  readonly status: number;
  /** @returns status line, field lines and the empty line */
  toHttp1(options: AnswerOptions): string;
  /** @returns name, value, name, value …, `:status` first */
  toHttp2(changes: readonly HeaderChange[]): readonly string[];
}
