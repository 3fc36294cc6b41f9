import { once } from "node:events";
import net from "node:net";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { WIDE_READ_BYTES, WriteBuffers } from "./write-buffers.ts";

const buffers = new WriteBuffers();
let server: net.Server;

beforeEach(async () => {
  server = net.createServer();
  server.listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
});

/** A connection to write to, whose other end reads when it is told to. */
async function pair(): Promise<{ socket: net.Socket; peer: net.Socket }> {
  const accepted = once(server, "connection");
  const socket = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
  const [peer] = (await accepted) as [net.Socket];
  peer.pause();
  onTestFinished(() => {
    socket.destroy();
    peer.destroy();
  });
  return { socket, peer };
}

async function readAll(peer: net.Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of peer) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

test("text goes first, then the bytes from one index to the other", async () => {
  const { socket, peer } = await pair();
  buffers.write(socket, "1f\r\n", Buffer.from("-content-"), 1, 8);
  socket.end();
  expect(String(await readAll(peer))).toBe("1f\r\ncontent");
});

test("what a slow reader has not taken yet is not overwritten by what others write", async () => {
  const pairs: { socket: net.Socket; peer: net.Socket }[] = [];
  while (pairs.length < 8) pairs.push(await pair());
  const source = Buffer.allocUnsafe(64 * 1024);
  const rounds = 60;
  for (let round = 0; round < rounds; round++)
    for (const [index, { socket }] of pairs.entries()) {
      source.fill(index * 10 + (round % 10));
      buffers.write(socket, "", source, 0, source.length);
    }
  expect(pairs.some(({ socket }) => socket.writableNeedDrain)).toBe(true);
  for (const { socket } of pairs) socket.end();
  for (const [index, { peer }] of pairs.entries()) {
    const all = await readAll(peer);
    expect(all).toHaveLength(rounds * source.length);
    for (let round = 0; round < rounds; round++) {
      const piece = all.subarray(round * source.length, (round + 1) * source.length);
      expect(piece.equals(Buffer.alloc(source.length, index * 10 + (round % 10)))).toBe(true);
    }
  }
});

test("what is longer than a buffer is written whole, and does not need to live on either", async () => {
  const { socket, peer } = await pair();
  const head = "h".repeat(60 * 1024);
  const bytes = Buffer.alloc(64 * 1024, "b");
  buffers.write(socket, head, bytes, 0, bytes.length);
  bytes.fill("x");
  socket.end();
  expect(String(await readAll(peer))).toBe(head + "b".repeat(64 * 1024));
});

test("small pieces have memory of their own size, however many wait", async () => {
  const { socket, peer } = await pair();
  const piece = Buffer.from("x");
  const pieces = 10_000;
  const before = process.memoryUsage().arrayBuffers;
  socket.cork();
  for (let count = 0; count < pieces; count++) buffers.write(socket, "", piece, 0, 1);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024);
  socket.uncork();
  socket.end();
  expect(await readAll(peer)).toHaveLength(pieces);
});

test("says when the socket wants to drain first", async () => {
  const { socket } = await pair();
  const bytes = Buffer.alloc(64 * 1024);
  let flowing = true;
  for (let writes = 0; flowing && writes < 1000; writes++) flowing = buffers.write(socket, "", bytes, 0, bytes.length);
  expect(flowing).toBe(false);
  expect(socket.writableNeedDrain).toBe(true);
});

test("wide pieces have a bounded number of buffers, and leave whole without one as well", async () => {
  const { socket, peer } = await pair();
  const wide = new WriteBuffers();
  const piece = Buffer.alloc(WIDE_READ_BYTES, "w");
  let writes = 0;
  for (; wide.takesWide; writes++) wide.write(socket, "", piece, 0, piece.length);
  const bounded = process.memoryUsage().arrayBuffers;
  expect(writes).toBeGreaterThan(8);
  wide.write(socket, "", piece, 0, piece.length);
  expect(process.memoryUsage().arrayBuffers - bounded).toBeLessThan(2 * WIDE_READ_BYTES);
  socket.end();
  expect(await readAll(peer)).toHaveLength((writes + 1) * piece.length);
  expect(wide.takesWide).toBe(true);
});
