/**
 * Sockets that read into one buffer, which all of a thread share: a read and its handling are one synchronous step. The
 * 64 KiB that Node.js otherwise takes for each read, however short, are a good part of the cost of a small request.
 */
import net from "node:net";

export const READ_BYTES = 64 * 1024;

/** What a socket reads into; all of a thread may have the same. */
export interface ReadBuffers {
  readonly usual: Buffer;
  /** Where a socket that moves a lot should read next; absent: such sockets are none of these. */
  readonly wide?: () => Buffer;
}

/** Hears of what a socket reads. @param bytes valid during the call, from 0 to `length` */
export type OnBytes = (bytes: Buffer, length: number) => void;

export interface SharedReadSocket {
  readonly socket: net.Socket;
  /** In place of the socket's "data" event. Whoever has the connection sets it, in the step in which it gets it. */
  onBytes: OnBytes;
  /** From now on it may read more at a time, where its buffers are for that. */
  widen(): void;
}

/** Opens a connection. */
export function connectShared(options: net.TcpNetConnectOpts, buffers: ReadBuffers): SharedReadSocket {
  return reading(buffers, (onread) => net.connect({ ...options, onread }));
}

/** What there is no public way to: `net.connect` takes a buffer to read into, `net.createServer` does not. */
interface Accepted {
  _handle: { readonly useUserBuffer?: unknown } | null;
  _server: net.Server | null;
}

/**
 * Takes an accepted connection over from the Socket that Node.js made for it (18 to 24 alike). Where the inside of that
 * came to be another, it is read as Node.js reads it.
 * @param accepted of which nothing has been read, with nobody listening to it
 */
export function acceptShared(accepted: net.Socket, buffers: ReadBuffers): SharedReadSocket {
  const inner = accepted as net.Socket & Accepted;
  const { _handle: handle, _server: server, allowHalfOpen } = inner;
  if (handle?.useUserBuffer === undefined) return readOwn(accepted);
  inner._handle = inner._server = null;
  return reading(buffers, (onread) => {
    const socket = new net.Socket({ handle, allowHalfOpen, onread } as net.SocketConstructorOpts);
    // A server counts its connections.
    (socket as net.Socket & Accepted)._server = server;
    return socket;
  });
}

function reading({ usual, wide }: ReadBuffers, open: (onread: net.OnReadOpts) => net.Socket): SharedReadSocket {
  let isWide = false;
  const callback = (length: number, bytes: Uint8Array) => {
    reader.onBytes(bytes as Buffer, length);
    return true;
  };
  // Asked before each read, which is worth it only where the answer may be another.
  const buffer = wide === undefined ? usual : () => (isWide ? wide() : usual);
  const reader: SharedReadSocket = {
    socket: open({ buffer, callback }),
    onBytes: () => {},
    widen: () => {
      isWide = true;
    },
  };
  return reader;
}

function readOwn(socket: net.Socket): SharedReadSocket {
  const reader: SharedReadSocket = { socket, onBytes: () => {}, widen: () => {} };
  socket.on("data", (bytes: Buffer) => reader.onBytes(bytes, bytes.length));
  return reader;
}
