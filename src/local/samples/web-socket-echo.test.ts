import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../model/clock.ts";
import { silentLog } from "../../telemetry/log.ts";
import { type RunningSample, startSample } from "./samples.ts";

const IP = "127.1.79.1";
let sample: RunningSample;

beforeAll(async () => {
  sample = await startSample(
    { kind: "http", image: "traefik/whoami", port: 0, name: "", verbose: false, banner: false },
    { podName: "p", address: IP, log: silentLog, clock: systemClock },
  );
});
afterAll(() => sample.close());

/** A frame as a client sends it. */
function frame(first: number, payload: Buffer | string, mask = randomBytes(4)): Buffer {
  const data = Buffer.from(payload);
  const length = data.length;
  const head =
    length < 126
      ? Buffer.from([first, 0x80 | length])
      : length < 65_536
        ? Buffer.from([first, 0x80 | 126, length >> 8, length & 255])
        : Buffer.concat([Buffer.from([first, 0x80 | 127, 0, 0, 0, 0]), uint32(length)]);
  return Buffer.concat([head, mask, data.map((byte, index) => byte ^ (mask[index & 3] as number))]);
}

/** A frame as a server sends it. */
function served(first: number, payload: Buffer | string): Buffer {
  const masked = frame(first, payload, Buffer.alloc(4));
  const data = Buffer.from(payload);
  const head = masked.subarray(0, masked.length - 4 - data.length);
  head[1] = (head[1] as number) & 0x7f;
  return Buffer.concat([head, data]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

class Peer {
  readonly socket: net.Socket;
  received = Buffer.alloc(0);
  ended = false;
  #wake = () => {};

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("data", (bytes) => {
      this.received = Buffer.concat([this.received, bytes]);
      this.#wake();
    });
    socket.on("end", () => {
      this.ended = true;
      this.#wake();
    });
    socket.on("error", () => {});
  }

  async take(bytes: number): Promise<Buffer> {
    while (this.received.length < bytes && !this.ended)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    const taken = this.received.subarray(0, bytes);
    this.received = this.received.subarray(bytes);
    return taken;
  }

  async rest(): Promise<Buffer> {
    while (!this.ended)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.received;
  }
}

const HANDSHAKE =
  "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const ANSWER =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

async function opened(early: Buffer = Buffer.alloc(0)): Promise<Peer> {
  const socket = net.connect({ host: IP, port: sample.port, noDelay: true });
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  const peer = new Peer(socket);
  socket.write(Buffer.concat([Buffer.from(HANDSHAKE), early]));
  expect((await peer.take(ANSWER.length)).toString()).toBe(ANSWER);
  return peer;
}

const FIN = 0x80;

test("text, binary and empty messages of every length form come back", async () => {
  const peer = await opened();
  for (const [first, payload] of [
    [FIN | 1, Buffer.from("hällo")],
    [FIN | 2, Buffer.alloc(0)],
    [FIN | 2, randomBytes(125)],
    [FIN | 2, randomBytes(126)],
    [FIN | 1, Buffer.alloc(65_535, "a")],
    [FIN | 2, randomBytes(65_536)],
    [FIN | 2, randomBytes(1 << 20)],
  ] as const) {
    peer.socket.write(frame(first, payload));
    const expected = served(first, payload);
    expect((await peer.take(expected.length)).equals(expected)).toBe(true);
  }
});

test("a frame that comes with the handshake is answered too", async () => {
  const peer = await opened(frame(FIN | 1, "early"));
  expect(await peer.take(7)).toEqual(served(FIN | 1, "early"));
});

test("fragments come back as fragments, with a ping between them answered", async () => {
  const peer = await opened();
  peer.socket.write(
    Buffer.concat([frame(1, "a"), frame(FIN | 9, "p"), frame(0, "b"), frame(FIN | 10, "ignored"), frame(FIN, "c")]),
  );
  const expected = Buffer.concat([served(1, "a"), served(FIN | 10, "p"), served(0, "b"), served(FIN, "c")]);
  expect(await peer.take(expected.length)).toEqual(expected);
});

test("close is answered with its status and ends the connection", async () => {
  const peer = await opened();
  peer.socket.write(frame(FIN | 8, Buffer.from([0x03, 0xe8, 0x62, 0x79, 0x65])));
  expect(await peer.rest()).toEqual(served(FIN | 8, Buffer.from([0x03, 0xe8])));
});

describe("the connection is closed with the status that says why", () => {
  const cases: Record<string, [Buffer, number]> = {
    "for a frame without mask": [Buffer.from([FIN | 1, 1, 0x61]), 1002],
    "for a reserved bit": [frame(FIN | 0x40 | 1, "a"), 1002],
    "for an unknown opcode": [frame(FIN | 3, "a"), 1002],
    "for a ping in fragments": [frame(9, "a"), 1002],
    "for a ping of 126 bytes": [frame(FIN | 9, Buffer.alloc(126)), 1002],
    "for a continuation of nothing": [frame(FIN, "a"), 1002],
    "for a message within a message": [Buffer.concat([frame(1, ""), frame(FIN | 1, "b")]), 1002],
    "for a close of one byte": [frame(FIN | 8, "a"), 1002],
    "for a frame over 1 MiB": [Buffer.from([FIN | 2, 0x80 | 127, 0, 0, 0, 0, 0, 16, 0, 1, 1, 2, 3, 4]), 1009],
    "for a frame of 2^63 bytes": [Buffer.from([FIN | 2, 0xff, 128, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]), 1009],
  };
  test.each(Object.entries(cases))("%s", async (_, [bytes, status]) => {
    const peer = await opened();
    peer.socket.write(bytes);
    const rest = await peer.rest();
    expect(rest.subarray(-4)).toEqual(served(FIN | 8, Buffer.from([status >> 8, status & 255])));
  });
});

test("frames read the same wherever they are cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(1200), { maxLength: 8 }),
      async (payloads, cuts) => {
        const peer = await opened();
        const bytes = Buffer.concat(payloads.map((payload) => frame(FIN | 2, Buffer.from(payload))));
        const expected = Buffer.concat(payloads.map((payload) => served(FIN | 2, Buffer.from(payload))));
        const edges = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        for (let index = 1; index < edges.length; index++) {
          peer.socket.write(bytes.subarray(edges[index - 1], edges[index]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        expect(await peer.take(expected.length)).toEqual(expected);
        peer.socket.destroy();
      },
    ),
    { numRuns: 30 },
  );
});

test("random bytes never harm the server", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (junk) => {
      const peer = await opened();
      peer.socket.end(junk);
      await peer.rest();
    }),
    { numRuns: 50 },
  );
  const peer = await opened();
  peer.socket.write(frame(FIN | 1, "still here"));
  expect(await peer.take(12)).toEqual(served(FIN | 1, "still here"));
});

test("a sample that ends says so to its WebSockets", async () => {
  const own = await startSample(
    { kind: "http", image: "traefik/whoami", port: 0, name: "", verbose: false, banner: false },
    { podName: "p", address: IP, log: silentLog, clock: systemClock },
  );
  const socket = net.connect({ host: IP, port: own.port });
  await once(socket, "connect");
  const peer = new Peer(socket);
  socket.write(HANDSHAKE);
  await peer.take(ANSWER.length);
  const closed = own.close();
  expect(await peer.take(4)).toEqual(served(FIN | 8, Buffer.from([0x03, 0xe9])));
  socket.write(frame(FIN | 8, Buffer.from([0x03, 0xe9])));
  await peer.rest();
  await closed;
});
