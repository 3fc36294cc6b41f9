import dgram from "node:dgram";
import { isIPv6 } from "node:net";
import { SHARED_PORT } from "../../shared-ports/port-sharing.ts";

/** Of datagrams that the kernel does not take at once, a socket holds so many bytes; what is beyond is lost. */
const MAX_QUEUED_BYTES = 1024 * 1024;

/**
 * A socket for one family's addresses. It asks no resolver, so that what it is told to do it does at once.
 * @param sharesPort another process may have its port too
 */
export function createUdpSocket(address: string, sharesPort = false): dgram.Socket {
  const family = isIPv6(address) ? 6 : 4;
  return dgram.createSocket({
    type: family === 6 ? "udp6" : "udp4",
    lookup: (host, _options, callback) => callback(null, host, family),
    ...(sharesPort ? SHARED_PORT : {}),
  });
}

/** Whether another datagram may be sent without the socket's queue outgrowing its bound. */
export function hasRoom(socket: dgram.Socket): boolean {
  return socket.getSendQueueSize() < MAX_QUEUED_BYTES;
}
