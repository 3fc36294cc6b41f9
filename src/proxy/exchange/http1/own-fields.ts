import type { ForwardOptions } from "../message-heads.ts";

/** Callers whose fields are remembered; then it begins anew. */
const MAX_CALLERS = 1024;
/** A host beyond that is not worth the memory. */
const MAX_HOST_LENGTH = 256;

interface Known {
  readonly host: string;
  readonly port: number;
  readonly server: string;
  readonly text: string;
}

/**
 * The forwarding fields that a request without any of them gets, as lines. A caller's requests mostly go where the one
 * before went, so they are written once.
 */
export class OwnFields {
  readonly #byCaller = new Map<string, Known>();

  of({ callerAddress, port, server }: ForwardOptions, host: string): string {
    const known = this.#byCaller.get(callerAddress);
    if (known !== undefined && known.port === port && known.server === server && known.host === host) return known.text;
    if (host.length > MAX_HOST_LENGTH) return written(callerAddress, host, port, server);
    if (this.#byCaller.size >= MAX_CALLERS) this.#byCaller.clear();
    // A part of a string keeps all of it in memory: what is remembered is a copy.
    const copy = Buffer.from(host, "latin1").toString("latin1");
    const text = written(callerAddress, copy, port, server);
    this.#byCaller.set(callerAddress, { host: copy, port, server, text });
    return text;
  }
}

function written(callerAddress: string, host: string, port: number, server: string): string {
  return `X-Forwarded-For: ${callerAddress}\r\nX-Forwarded-Host: ${host}\r\nX-Forwarded-Port: ${port}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Server: ${server}\r\nX-Real-Ip: ${callerAddress}\r\n`;
}
