/**
 * A WebSocket (RFC 6455) server that sends back what it gets, frame by frame: a message that came in fragments goes back
 * in the same fragments, so that nothing but one frame is ever kept.
 */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const CLOSE = { goingAway: 1001, protocolError: 1002, tooBig: 1009 } as const;
const FIN = 0x80;
const MASKED = 0x80;
const MAX_HEADER_BYTES = 14;
const MAX_CONTROL_BYTES = 125;
const MAX_FRAME_BYTES = 1 << 20;
/** RFC 6455 §1.3 */
const HANDSHAKE_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Why this request opens no WebSocket, or undefined where it does (RFC 6455 §4.2.1). */
export function handshakeRefusal(request: IncomingMessage): string | undefined {
  const { headers, method } = request;
  if (method !== "GET") return "the method is not GET";
  if (!hasToken(headers.connection, "upgrade")) return "'upgrade' is missing in Connection";
  if (!hasToken(headers.upgrade, "websocket")) return "'websocket' is missing in Upgrade";
  if (headers["sec-websocket-version"] !== "13") return "Sec-WebSocket-Version is not 13";
  const key = headers["sec-websocket-key"] ?? "";
  return /^[A-Za-z0-9+/]{22}==$/.test(key) ? undefined : "Sec-WebSocket-Key is not 16 bytes in base64";
}

/** The head that opens the WebSocket; the request must have no refusal. */
export function handshakeAnswer(request: IncomingMessage): string {
  const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}${HANDSHAKE_GUID}`).digest("base64");
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

export class WebSocketEcho {
  readonly #socket: Duplex;
  readonly #header = Buffer.alloc(MAX_HEADER_BYTES);
  #headerBytes = 0;
  #payload: Buffer | undefined;
  #payloadBytes = 0;
  #inMessage = false;
  #closing = false;

  /** @param early bytes that came with the handshake */
  constructor(socket: Duplex, early: Buffer) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#push(bytes));
    socket.on("drain", () => socket.resume());
    socket.on("end", () => socket.end());
    socket.on("error", () => socket.destroy());
    if (early.length > 0) this.#push(early);
  }

  /** Says that the server ends; the peer's answer, or its end, closes the connection. */
  goAway(): void {
    this.#close(CLOSE.goingAway);
  }

  /** Frames may be cut anywhere. */
  #push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#payload === undefined) {
        this.#header[this.#headerBytes++] = bytes[at++] as number;
        if (this.#headerBytes >= 2 && this.#headerBytes === this.#headerLength() && !this.#startPayload()) return;
      } else {
        const taken = bytes.copy(this.#payload, this.#payloadBytes, at);
        this.#payloadBytes += taken;
        at += taken;
      }
      if (this.#payload !== undefined && this.#payloadBytes === this.#payload.length && !this.#finishFrame()) return;
    }
  }

  /** Of the header that has begun, once its first two bytes are there: RFC 6455 §5.2. */
  #headerLength(): number {
    const second = this.#header[1] as number;
    const short = second & 0x7f;
    return 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + ((second & MASKED) === 0 ? 0 : 4);
  }

  /** @returns false where the frame is not acceptable and the connection ends */
  #startPayload(): boolean {
    const [first, second] = this.#header as unknown as [number, number];
    const opcode = first & 0x0f;
    const short = second & 0x7f;
    const length =
      short === 126
        ? this.#header.readUInt16BE(2)
        : short === 127
          ? this.#header.readUInt32BE(2) * 2 ** 32 + this.#header.readUInt32BE(6)
          : short;
    const control = opcode >= OPCODE.close;
    const known = Object.values<number>(OPCODE).includes(opcode);
    // §5.1: a client masks; §5.2: no reserved bit without an extension; §5.5: control frames are short and whole.
    const wrong =
      (second & MASKED) === 0 ||
      (first & 0x70) !== 0 ||
      !known ||
      (control && (length > MAX_CONTROL_BYTES || (first & FIN) === 0)) ||
      (!control && (opcode === OPCODE.continuation) !== this.#inMessage);
    if (wrong) return this.#fail(CLOSE.protocolError);
    if (length > MAX_FRAME_BYTES) return this.#fail(CLOSE.tooBig);
    this.#payload = Buffer.alloc(length);
    this.#payloadBytes = 0;
    return true;
  }

  /** @returns false after the closing frame */
  #finishFrame(): boolean {
    const payload = this.#payload as Buffer;
    const first = this.#header[0] as number;
    const maskAt = this.#headerBytes - 4;
    for (let index = 0; index < payload.length; index++)
      payload[index] = (payload[index] as number) ^ (this.#header[maskAt + (index & 3)] as number);
    this.#payload = undefined;
    this.#headerBytes = 0;
    const opcode = first & 0x0f;
    switch (opcode) {
      case OPCODE.close:
        if (payload.length === 1) return this.#fail(CLOSE.protocolError);
        if (!this.#closing) this.#send(FIN | OPCODE.close, payload.subarray(0, 2));
        this.#end();
        return false;
      case OPCODE.ping:
        this.#send(FIN | OPCODE.pong, payload);
        return true;
      case OPCODE.pong:
        return true;
      default:
        this.#inMessage = (first & FIN) === 0;
        this.#send(first, payload);
        return true;
    }
  }

  /** Who does not read what comes back may not send more. */
  #send(first: number, payload: Buffer): void {
    if (this.#closing) return;
    if (!this.#socket.write(Buffer.concat([frameHeader(first, payload.length), payload]))) this.#socket.pause();
  }

  #fail(status: number): false {
    this.#close(status);
    this.#end();
    return false;
  }

  #close(status: number): void {
    if (this.#closing) return;
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(status);
    this.#send(FIN | OPCODE.close, payload);
    this.#closing = true;
  }

  /** Takes no further frame; reading on lets the peer's end be seen. */
  #end(): void {
    this.#closing = true;
    this.#socket.removeAllListeners("data");
    this.#socket.end();
    this.#socket.resume();
  }
}

function frameHeader(first: number, length: number): Buffer {
  if (length <= MAX_CONTROL_BYTES) return Buffer.from([first, length]);
  if (length <= 0xffff) return Buffer.from([first, 126, length >> 8, length & 0xff]);
  const header = Buffer.alloc(10);
  header[0] = first;
  header[1] = 127;
  header.writeUInt32BE(length, 6);
  return header;
}

function hasToken(value: string | undefined, token: string): boolean {
  return (value ?? "")
    .toLowerCase()
    .split(/\s*,\s*/)
    .includes(token);
}
