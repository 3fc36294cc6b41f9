import { once } from "node:events";
import type net from "node:net";
import { constants } from "node:os";
import { describe, expect, test, vi } from "vitest";
import { DirectWrites, type StreamBinding, streamBinding } from "./direct-writes.ts";
import { readAll, socketPair } from "./testkit/socket-pair.ts";

/** Bytes that a handle holds back. */
const heldBack = (socket: net.Socket) =>
  (socket as unknown as { _handle: { writeQueueSize: number } })._handle.writeQueueSize;

/** Writes texts until one does not leave at once. */
function fill(writes: DirectWrites, socket: net.Socket): string {
  let all = "";
  for (let round = 0; heldBack(socket) === 0; round++) {
    const text = String.fromCharCode(97 + (round % 26)).repeat(16_000);
    writes.write(socket, text);
    all += text;
  }
  return all;
}

const ways: [string, StreamBinding | undefined][] = [
  ["past the stream", streamBinding()],
  ["where there is no way past the stream", undefined],
];

describe.each(ways)("%s", (_, binding) => {
  const writes = new DirectWrites(binding);

  test("a text arrives, a character a byte", async () => {
    const { socket, peer } = await socketPair();
    expect(writes.write(socket, "HTTP/1.1 200 OK\r\nx: \u00e4\r\n\r\n")).toBe(true);
    socket.end();
    expect((await readAll(peer)).toString("latin1")).toBe("HTTP/1.1 200 OK\r\nx: \u00e4\r\n\r\n");
  });

  test("texts keep their place among what the stream writes", async () => {
    const { socket, peer } = await socketPair();
    writes.write(socket, "a");
    socket.write("b");
    writes.write(socket, "c");
    socket.cork();
    socket.write("d");
    writes.write(socket, "e");
    socket.uncork();
    writes.write(socket, "f");
    socket.end("g");
    expect((await readAll(peer)).toString("latin1")).toBe("abcdefg");
  });

  test("what a slow reader does not take waits, in its order, until the reader does", async () => {
    const { socket, peer } = await socketPair();
    let all = fill(writes, socket);
    for (const text of ["one", "two", "three"]) {
      writes.write(socket, text);
      all += text;
    }
    socket.end();
    expect((await readAll(peer)).toString("latin1")).toBe(all);
  });

  test("whoever writes on to a slow reader is told to wait", async () => {
    const { socket } = await socketPair();
    fill(writes, socket);
    let flowing = true;
    // The system's buffers on either side may still grow to some 10 MiB.
    for (let count = 0; flowing && count < 2_000; count++) flowing = writes.write(socket, "x".repeat(16_000));
    expect(flowing).toBe(false);
    expect(socket.writableNeedDrain).toBe(true);
  });

  test("a reader that is slow holds up no other", async () => {
    const slow = await socketPair();
    fill(writes, slow.socket);
    const other = await socketPair();
    writes.write(other.socket, "hello");
    expect(String((await once(other.peer.resume(), "data"))[0])).toBe("hello");
  });

  test("a reset while a text waits is an error of the socket", async () => {
    const { socket, peer } = await socketPair();
    fill(writes, socket);
    const failed = once(socket, "error");
    peer.resetAndDestroy();
    expect(((await failed)[0] as NodeJS.ErrnoException).errno).toBeLessThan(0);
    expect(socket.destroyed).toBe(true);
  });

  test("a text for a socket that is closed goes nowhere, and throws nothing", async () => {
    const { socket } = await socketPair();
    socket.on("error", () => {});
    const closed = once(socket, "close");
    socket.destroy();
    writes.write(socket, "late");
    await closed;
  });

  test("a text after the end is an error, as it is of the stream", async () => {
    const { socket } = await socketPair();
    const failed = once(socket, "error");
    socket.end("last");
    writes.write(socket, "late");
    expect(((await failed)[0] as NodeJS.ErrnoException).code).toBe("ERR_STREAM_WRITE_AFTER_END");
  });
});

test("texts that leave at once cost the stream nothing", async () => {
  const { socket } = await socketPair();
  const ofStream = vi.spyOn(socket, "write");
  new DirectWrites(streamBinding()).write(socket, "hello");
  expect(ofStream).not.toHaveBeenCalled();
});

test("a socket that held a text back is written past the stream again once that has left", async () => {
  const { socket, peer } = await socketPair();
  const writes = new DirectWrites(streamBinding());
  fill(writes, socket);
  const ofStream = vi.spyOn(socket, "write");
  const drained = new Promise<void>((resolve) => socket.write("waits behind it", () => resolve()));
  writes.write(socket, "waits as well");
  expect(ofStream).toHaveBeenCalledTimes(2);
  peer.resume();
  await drained;
  while (socket.writableLength > 0) await new Promise((resolve) => setImmediate(resolve));
  writes.write(socket, "past it");
  expect(ofStream).toHaveBeenCalledTimes(2);
});

/** How a socket ends while a text waits in its handle. */
const ends: [string, (of: { socket: net.Socket; peer: net.Socket }) => void][] = [
  ["is destroyed", ({ socket }) => socket.destroy()],
  ["is destroyed with an error", ({ socket }) => socket.destroy(new Error("enough"))],
  ["is reset by itself", ({ socket }) => socket.resetAndDestroy()],
  ["is reset by its peer", ({ peer }) => peer.resetAndDestroy()],
  [
    "ends and loses its peer",
    ({ socket, peer }) => {
      socket.end("last");
      peer.destroy();
    },
  ],
];
test.each(ends)("a socket that %s while a text waits completes its request, which forgets it", async (_, end) => {
  const { binding, requests } = keptRequests();
  const both = [await socketPair(), await socketPair()] as const;
  const writes = new DirectWrites(binding);
  const completed: number[] = [];
  for (const [index, { socket }] of both.entries()) {
    socket.on("error", () => {});
    fill(writes, socket);
    // The last one is for the next write, and this is of the one that waits.
    const request = requests.at(-2) as Request;
    const { oncomplete } = request;
    request.oncomplete = (status) => {
      completed.push(index);
      oncomplete(status);
    };
  }
  // Not `once` of node:events, which the error would end first.
  const closed = new Promise((resolve) => both[0].socket.once("close", resolve));
  end(both[0]);
  await closed;
  expect(completed).toEqual([0]);
  both[1].peer.resume();
  while (completed.length < 2) await new Promise((resolve) => setImmediate(resolve));
  expect(both[1].socket.destroyed).toBe(false);
});

type Request = InstanceType<StreamBinding["WriteWrap"]>;

/** A binding that keeps the requests which are made of it. */
function keptRequests(): { binding: StreamBinding; requests: Request[] } {
  const binding = streamBinding() as StreamBinding;
  const requests: Request[] = [];
  class Kept extends binding.WriteWrap {
    constructor() {
      super();
      requests.push(this);
    }
  }
  return { binding: { ...binding, WriteWrap: Kept }, requests };
}

test("a write that fails while it waits is an error of the socket, by its name", async () => {
  const { binding, requests } = keptRequests();
  const { socket } = await socketPair();
  fill(new DirectWrites(binding), socket);
  const failed = once(socket, "error");
  requests[0]?.oncomplete(-constants.errno.EPIPE);
  expect((await failed)[0]).toMatchObject({ code: "EPIPE", errno: -constants.errno.EPIPE, syscall: "write" });
  expect(socket.destroyed).toBe(true);
});

describe("there is no way past the stream where", () => {
  const own = (name: string) => (process as unknown as { binding(name: string): object }).binding(name);
  const without: [string, (name: string) => unknown][] = [
    ["bindings are forbidden", () => raise()],
    ["handles do not write texts", (name) => (name === "tcp_wrap" ? { TCP: class {} } : own(name))],
    ["handles have another name", (name) => (name === "tcp_wrap" ? {} : own(name))],
    [
      "requests have another name",
      (name) => (name === "stream_wrap" ? { ...own(name), WriteWrap: undefined } : own(name)),
    ],
    [
      "nothing tells whether a write waits",
      (name) => (name === "stream_wrap" ? { ...own(name), streamBaseState: [] } : own(name)),
    ],
  ];
  test.each(without)("%s", (_, binding) => {
    expect(streamBinding(binding)).toBeUndefined();
  });

  test("a socket has no handle of the name that we know", async () => {
    const { socket } = await socketPair();
    const written: string[] = [];
    const bare = Object.assign(Object.create(socket) as net.Socket, {
      _handle: undefined,
      write: (text: string) => written.push(text) > 0,
    });
    expect(new DirectWrites(streamBinding()).write(bare, "hello")).toBe(true);
    expect(written).toEqual(["hello"]);
  });
});

function raise(): never {
  throw new Error("forbidden");
}
