/**
 * Texts that go past the stream into the socket. A head, with a short answer behind it, leaves in one call into the
 * system; what `socket.write` does around that call (a request object, the stream's accounts, a tick afterwards) costs
 * about a twentieth of a small request.
 *
 * There is no public way to it. `_handle` of a socket and the binding that tells whether a write has left whole are the
 * same in Node.js 20 to 24; where they are not there, texts go by `socket.write`.
 */
import type net from "node:net";
import { getSystemErrorName } from "node:util";

/** A handle keeps it while the write waits there, and calls it then; one that left at once is free for the next. */
interface WriteRequest {
  /** @param status below 0: what went wrong, as the system numbers errors */
  oncomplete: (status: number) => void;
}

interface WriteHandle {
  /** @returns what went wrong at once, as the system numbers errors; else 0 */
  writeLatin1String(request: WriteRequest, text: string): number;
}

export interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  readonly streamBaseState: ArrayLike<number>;
  readonly kLastWriteWasAsync: number;
}

interface TcpBinding {
  readonly TCP: { readonly prototype: Partial<WriteHandle> };
}

const ownBinding = (name: string): unknown => (process as unknown as { binding(name: string): unknown }).binding(name);

/**
 * Node.js's own, or undefined where it is not what we know.
 * @param binding what the runtime has by that name; throws where it has nothing
 */
export function streamBinding(binding: (name: string) => unknown = ownBinding): StreamBinding | undefined {
  try {
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = binding("stream_wrap") as Partial<StreamBinding>;
    const { TCP } = binding("tcp_wrap") as TcpBinding;
    if (typeof TCP.prototype.writeLatin1String !== "function") return undefined;
    if (typeof WriteWrap !== "function" || typeof streamBaseState?.[kLastWriteWasAsync ?? -1] !== "number")
      return undefined;
    return { WriteWrap, streamBaseState, kLastWriteWasAsync: kLastWriteWasAsync as number };
  } catch {
    // The permission model forbids bindings.
    return undefined;
  }
}

/** Of one thread. */
export class DirectWrites {
  readonly #binding: StreamBinding | undefined;
  /** Of the next write. */
  #request: WriteRequest | undefined;
  /** Sockets that hold a text back, until their request completes: what comes meanwhile is the stream's, which says when it is too much. */
  readonly #waiting = new Set<net.Socket>();

  /** @param binding absent: everything goes by `socket.write` */
  constructor(binding: StreamBinding | undefined) {
    this.#binding = binding;
    this.#request = binding && new binding.WriteWrap();
  }

  /**
   * @param socket plain TCP, connected
   * @param text a character a byte
   * @returns as `socket.write`: false where the socket should drain first
   */
  write(socket: net.Socket, text: string): boolean {
    const request = this.#request;
    const handle = (socket as unknown as { readonly _handle?: WriteHandle | null })._handle;
    if (request === undefined || handle === null || handle === undefined || !this.#isFree(socket))
      return socket.write(text, "latin1");
    // A socket that is broken says so again, to whom it should.
    if (handle.writeLatin1String(request, text) !== 0) return socket.write(text, "latin1");
    const { streamBaseState, kLastWriteWasAsync } = this.#binding as StreamBinding;
    if (streamBaseState[kLastWriteWasAsync] !== 0) this.#await(socket, request);
    return true;
  }

  /** Nothing is before it, in the stream or in the handle. */
  #isFree(socket: net.Socket): boolean {
    if (socket.writableLength > 0 || socket.writableCorked > 0 || socket.writableEnded) return false;
    return this.#waiting.size === 0 || !this.#waiting.has(socket);
  }

  #await(socket: net.Socket, request: WriteRequest): void {
    this.#waiting.add(socket);
    request.oncomplete = (status) => {
      this.#waiting.delete(socket);
      if (status < 0) socket.destroy(writeError(status));
    };
    this.#request = new (this.#binding as StreamBinding).WriteWrap();
  }
}

/** As the stream's. */
function writeError(errno: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`write ${code}`), { errno, code, syscall: "write" });
}
