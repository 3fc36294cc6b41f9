/**
 * Sockets that read into one buffer, which all of a thread share: a read and its handling are one synchronous step. The
 * 64 KiB that Node.js otherwise takes for each read, however short, are a good part of the cost of a small request.
 */
import net from "node:net";

export const READ_BYTES = 64 * 1024;

/** Hears of what a socket reads. @param bytes valid during the call, from 0 to `length` */
export type OnBytes = (bytes: Buffer, length: number) => void;

export interface SharedReadSocket {
  readonly socket: net.Socket;
  /** In place of the socket's "data" event. Whoever has the connection sets it, in the step in which it gets it. */
  onBytes: OnBytes;
}

/** Opens a connection. */
export function connectShared(options: net.TcpNetConnectOpts, buffer: Buffer): SharedReadSocket {
  return reading(buffer, (onread) => net.connect({ ...options, onread }));
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
export function acceptShared(accepted: net.Socket, buffer: Buffer): SharedReadSocket {
  const inner = accepted as net.Socket & Accepted;
  const { _handle: handle, _server: server, allowHalfOpen } = inner;
  if (handle?.useUserBuffer === undefined) return readOwn(accepted);
  inner._handle = inner._server = null;
  return reading(buffer, (onread) => {
    const socket = new net.Socket({ handle, allowHalfOpen, onread } as net.SocketConstructorOpts);
    // A server counts its connections.
    (socket as net.Socket & Accepted)._server = server;
    return socket;
  });
}

function reading(buffer: Buffer, open: (onread: net.OnReadOpts) => net.Socket): SharedReadSocket {
  const callback = (length: number) => {
    reader.onBytes(buffer, length);
    return true;
  };
  const reader: SharedReadSocket = { socket: open({ buffer, callback }), onBytes: () => {} };
  return reader;
}

function readOwn(socket: net.Socket): SharedReadSocket {
  const reader: SharedReadSocket = { socket, onBytes: () => {} };
  socket.on("data", (bytes: Buffer) => reader.onBytes(bytes, bytes.length));
  return reader;
}
