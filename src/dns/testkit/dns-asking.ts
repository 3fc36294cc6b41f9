/** Questions to a running server, over real sockets. */
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import dnsPacket, { type DecodedPacket, type Packet, type RecordType } from "dns-packet";

export type Answered = DecodedPacket & { readonly rcode: string };

export const decode = (message: Buffer): Answered => dnsPacket.decode(message) as Answered;

export function question(name: string, type: RecordType | "ANY" = "A", more: Packet = {}): Buffer {
  const id = more.id ?? 4711;
  return dnsPacket.encode({
    type: "query",
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type: type as RecordType }],
    ...more,
    id,
  });
}

/** An OPT record as a resolver sends it. */
export function optRecord(udpPayloadSize: number, { ednsVersion = 0, flags = 0 } = {}) {
  return {
    type: "OPT" as const,
    name: ".",
    udpPayloadSize,
    extendedRcode: 0,
    ednsVersion,
    flags,
    flag_do: false,
    options: [],
  };
}

/** Where a server listens. */
export interface At {
  readonly address: string;
  readonly port: number;
}

/** Sends the messages over UDP in turn, and returns the first answer that comes. */
export async function askUdp(at: At, ...messages: readonly Uint8Array[]): Promise<Buffer> {
  const socket = dgram.createSocket(net.isIPv6(at.address) ? "udp6" : "udp4");
  try {
    for (const message of messages) socket.send(message, at.port, at.address);
    const [answer] = (await once(socket, "message")) as [Buffer];
    return answer;
  } finally {
    await new Promise<void>((resolve) => socket.close(resolve));
  }
}

/** Behind its length, as over TCP. */
export function framed(message: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** The messages of a TCP connection, until it ends. */
export async function messagesOf(socket: net.Socket): Promise<Buffer[]> {
  const parts: Buffer[] = [];
  socket.on("data", (part) => parts.push(part));
  socket.on("error", () => {});
  await once(socket, "close");
  let rest = Buffer.concat(parts);
  const messages: Buffer[] = [];
  while (rest.length >= 2) {
    const end = 2 + rest.readUInt16BE(0);
    messages.push(rest.subarray(2, end));
    rest = rest.subarray(end);
  }
  return messages;
}

/** Sends the bytes over one connection, ends that side, and returns the messages that come back. */
export async function askTcp(at: At, ...pieces: readonly Uint8Array[]): Promise<Buffer[]> {
  const socket = net.connect({ host: at.address, port: at.port, noDelay: true });
  const messages = messagesOf(socket);
  await once(socket, "connect");
  for (const piece of pieces) await new Promise((resolve) => socket.write(piece, resolve));
  socket.end();
  return messages;
}
