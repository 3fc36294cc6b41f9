import { expect, test } from "vitest";
import { readAll, type SocketPair, socketPair } from "./testkit/socket-pair.ts";
import { WIDE_READ_BYTES, WriteBuffers } from "./write-buffers.ts";

const buffers = new WriteBuffers();

test("text goes first, then the bytes from one index to the other", async () => {
  const { socket, peer } = await socketPair();
  buffers.write(socket, "1f\r\n", Buffer.from("-content-"), 1, 8);
  socket.end();
  expect(String(await readAll(peer))).toBe("1f\r\ncontent");
});

test("what a slow reader has not taken yet is not overwritten by what others write", async () => {
  const pairs: SocketPair[] = [];
  while (pairs.length < 8) pairs.push(await socketPair());
  const source = Buffer.allocUnsafe(64 * 1024);
  let rounds = 0;
  for (; rounds < 60 || !pairs.some(({ socket }) => socket.writableNeedDrain); rounds++)
    for (const [index, { socket }] of pairs.entries()) {
      source.fill(index * 10 + (rounds % 10));
      buffers.write(socket, "", source, 0, source.length);
    }
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
  const { socket, peer } = await socketPair();
  const head = "h".repeat(60 * 1024);
  const bytes = Buffer.alloc(64 * 1024, "b");
  buffers.write(socket, head, bytes, 0, bytes.length);
  bytes.fill("x");
  socket.end();
  expect(String(await readAll(peer))).toBe(head + "b".repeat(64 * 1024));
});

test("small pieces have memory of their own size, however many wait", async () => {
  const { socket, peer } = await socketPair();
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
  const { socket } = await socketPair();
  const bytes = Buffer.alloc(64 * 1024);
  let flowing = true;
  for (let writes = 0; flowing && writes < 1000; writes++) flowing = buffers.write(socket, "", bytes, 0, bytes.length);
  expect(flowing).toBe(false);
  expect(socket.writableNeedDrain).toBe(true);
});

test("wide pieces have a bounded number of buffers, and leave whole without one as well", async () => {
  const { socket, peer } = await socketPair();
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
