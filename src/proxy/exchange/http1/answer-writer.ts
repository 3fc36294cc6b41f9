/** An answer as HTTP/1.1: its head, and its content in the framing that the caller's version of HTTP asks for. */
import type net from "node:net";
import type { HeaderChange } from "../../../config/mesh-config.ts";
import type { DirectWrites } from "../../socket/direct-writes.ts";
import type { WriteBuffers } from "../../socket/write-buffers.ts";
import type { AnswerFraming, AnswerHead } from "../message-heads.ts";
import { trailerText } from "./trailers.ts";

/** How the content is passed on. */
const AS_IT_COMES = 0;
/** In chunks of ours, so that its end can be told from its loss. */
const WRAPPED = 1;

/** Up to here, text and bytes leave as one string, which is cheaper to write than so many bytes of a buffer. */
const JOIN_BYTES = 16 * 1024;
const NO_CHANGES: readonly HeaderChange[] = [];

export class AnswerWriter {
  readonly #socket: net.Socket;
  readonly #buffers: WriteBuffers;
  readonly #direct: DirectWrites;
  #minor = 1;
  #keepAlive = true;
  #framing = AS_IT_COMES;
  /** Text that has not left, one character a byte. */
  #text = "";

  /** Any of the final answer has left. */
  started = false;
  #headWritten = false;
  /** The connection ends with this answer. */
  close = false;

  constructor(socket: net.Socket, buffers: WriteBuffers, direct: DirectWrites) {
    this.#socket = socket;
    this.#buffers = buffers;
    this.#direct = direct;
  }

  /** @param minor of the request's HTTP/1.x; @param keepAlive the request lets another one follow */
  begin(minor: number, keepAlive: boolean): void {
    this.#minor = minor;
    this.#keepAlive = keepAlive;
    this.#framing = AS_IT_COMES;
    this.#text = "";
    this.started = false;
    this.#headWritten = false;
    this.close = false;
  }

  /** HTTP/1.0 knows no chunks. */
  get takesChunks(): boolean {
    return this.#minor === 1;
  }

  /** RFC 9110 §15.2: a proxy forwards 1xx answers, but not to HTTP/1.0. */
  writeInterim(head: AnswerHead): void {
    if (this.#minor === 0) return;
    this.#text += head.toHttp1({ framing: "asSaid", callerMinor: 1, close: false, changes: NO_CHANGES });
  }

  writeHead(head: AnswerHead, framing: AnswerFraming, changes: readonly HeaderChange[], mayFollow: boolean): void {
    const endsByClose = framing === "untold" && this.#minor === 0;
    this.close = endsByClose || !mayFollow || !this.#keepAlive;
    this.#framing = framing === "untold" && this.#minor === 1 ? WRAPPED : AS_IT_COMES;
    this.#headWritten = true;
    this.#text += head.toHttp1({ framing, callerMinor: this.#minor, close: this.close, changes });
  }

  /** @param bytes copied, unless nothing comes of it */
  writeContent(bytes: Buffer, from: number, end: number): void {
    const length = end - from;
    if (length === 0) return;
    if (this.#framing === WRAPPED) this.#text += `${length.toString(16)}\r\n`;
    if (length <= JOIN_BYTES) this.#text += bytes.toString("latin1", from, end);
    else {
      if (this.#headWritten) this.started = true;
      const text = this.#text;
      this.#text = "";
      this.#buffers.write(this.#socket, text, bytes, from, end);
    }
    if (this.#framing === WRAPPED) this.#text += "\r\n";
  }

  writeEnd(trailers: readonly string[] | undefined): void {
    if (this.#framing === WRAPPED) this.#text += `0\r\n${trailerText(trailers)}`;
  }

  /** An answer of our own, whole. */
  writeOwn(text: string, close: boolean): void {
    this.close = close;
    this.#headWritten = true;
    this.#text += text;
    this.flush();
  }

  get mayKeepAlive(): boolean {
    return this.#keepAlive;
  }

  flush(): boolean {
    this.#writeText();
    return !this.#socket.writableNeedDrain;
  }

  discard(): void {
    this.#text = "";
    this.#headWritten = this.started;
  }

  #writeText(): void {
    if (this.#text === "") return;
    if (this.#headWritten) this.started = true;
    this.#direct.write(this.#socket, this.#text);
    this.#text = "";
  }
}
