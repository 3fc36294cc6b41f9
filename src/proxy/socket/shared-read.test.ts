import { once } from "node:events";
import net from "node:net";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { resetSocket } from "./reset-socket.ts";
import { acceptShared, connectShared, READ_BYTES, type SharedReadSocket } from "./shared-read.ts";

const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
let server: net.Server;
let onAccept: (accepted: SharedReadSocket) => void;

beforeEach(async () => {
  server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    const accepted = acceptShared(socket, { usual: buffer });
    onTestFinished(() => void accepted.socket.destroy());
    onAccept(accepted);
  });
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});

const place = (): net.TcpNetConnectOpts => ({
  host: "127.0.0.1",
  port: (server.address() as net.AddressInfo).port,
  allowHalfOpen: true,
});

function connect(): net.Socket {
  const socket = net.connect(place());
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  return socket;
}

/** A connection's both ends, and what the accepting one has read. */
async function pair() {
  const accepting = new Promise<SharedReadSocket>((resolve) => {
    onAccept = resolve;
  });
  const peer = connect();
  const accepted = await accepting;
  let wake = () => {};
  const read = {
    text: "",
    async until(text: string) {
      while (!read.text.endsWith(text)) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
  accepted.onBytes = (bytes, length) => {
    expect(bytes).toBe(buffer);
    read.text += bytes.toString("latin1", 0, length);
    wake();
  };
  return { peer, accepted, read };
}

test("an accepted connection reads into the buffer, and writes, as any other", async () => {
  const { peer, accepted, read } = await pair();
  peer.write("hello");
  await read.until("hello");
  accepted.socket.write("good day");
  expect(String((await once(peer, "data"))[0])).toBe("good day");
  expect(accepted.socket.remotePort).toBe(peer.localPort);
});

test("bytes that came before the connection was accepted are read", async () => {
  const peer = connect();
  peer.write("early");
  const text = await new Promise((resolve) => {
    onAccept = (accepted) => {
      accepted.onBytes = (bytes, length) => resolve(bytes.toString("latin1", 0, length));
    };
  });
  expect(text).toBe("early");
});

test("each side of an accepted connection ends by itself", async () => {
  const { peer, accepted, read } = await pair();
  peer.end("last words");
  await once(accepted.socket, "end");
  expect(read.text).toBe("last words");
  const closed = once(accepted.socket, "close");
  accepted.socket.end("answer");
  expect(String((await once(peer, "data"))[0])).toBe("answer");
  await closed;
});

test("an accepted connection that is paused reads nothing until it is resumed", async () => {
  const { peer, accepted, read } = await pair();
  accepted.socket.pause();
  const all = Buffer.alloc(8 * 1024 * 1024, "x");
  const sent = new Promise((resolve) => peer.write(all, resolve));
  await new Promise((resolve) => setImmediate(resolve));
  expect(read.text).toBe("");
  accepted.socket.resume();
  await sent;
  peer.write("end");
  await read.until("end");
  expect(read.text).toHaveLength(all.length + 3);
});

test("a reset of an accepted connection is heard, and one of ours is sent", async () => {
  const first = await pair();
  const heard = once(first.accepted.socket, "error");
  first.peer.resetAndDestroy();
  expect(((await heard)[0] as NodeJS.ErrnoException).code).toBe("ECONNRESET");
  const second = await pair();
  const felt = once(second.peer, "error");
  resetSocket(second.accepted.socket);
  expect(((await felt)[0] as NodeJS.ErrnoException).code).toBe("ECONNRESET");
});

test("the server counts the connections that were taken over, and closes when they have closed", async () => {
  const { accepted } = await pair();
  const count = () => new Promise((resolve) => server.getConnections((_, connections) => resolve(connections)));
  expect(await count()).toBe(1);
  const closed = once(server, "close");
  server.close();
  accepted.socket.destroy();
  await closed;
  expect(await count()).toBe(0);
});

test("a connection whose inside is another than we know is read all the same", async () => {
  const reading = new Promise<SharedReadSocket>((resolve) => {
    onAccept = resolve;
  });
  connect();
  const { socket: accepted } = await reading;
  const socket = connect();
  Object.defineProperty(socket, "_handle", { value: {}, configurable: true });
  const own = acceptShared(socket, { usual: buffer });
  delete (socket as { _handle?: unknown })._handle;
  const heard = new Promise((resolve) => {
    own.onBytes = (bytes, length) => resolve(bytes.toString("latin1", 0, length));
  });
  socket.emit("data", Buffer.from("as ever"));
  expect(await heard).toBe("as ever");
  accepted.destroy();
});

test("a connection of ours reads into the buffer from its first byte on", async () => {
  onAccept = ({ socket }) => socket.write("welcome");
  const opened = connectShared(place(), { usual: buffer });
  onTestFinished(() => void opened.socket.destroy());
  const text = await new Promise((resolve) => {
    opened.onBytes = (bytes, length) => resolve(bytes.toString("latin1", 0, length));
  });
  expect(text).toBe("welcome");
});

test("a connection that was widened reads into what it is told, from its next read on", async () => {
  const wide = Buffer.allocUnsafeSlow(READ_BYTES * 2);
  const server = net.createServer((socket) => {
    socket.write("first");
    socket.on("data", () => socket.write(Buffer.alloc(READ_BYTES * 2, "x")));
  });
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const opened = connectShared({ host: "127.0.0.1", port }, { usual: buffer, wide: () => wide });
  onTestFinished(() => void opened.socket.destroy());
  const seen: Buffer[] = [];
  await new Promise<void>((resolve) => {
    let left = READ_BYTES * 2;
    opened.onBytes = (bytes, length) => {
      seen.push(bytes);
      if (seen.length === 1) {
        expect(bytes.toString("latin1", 0, length)).toBe("first");
        opened.widen();
        opened.socket.write("more");
        return;
      }
      expect(bytes.subarray(0, length).equals(Buffer.alloc(length, "x"))).toBe(true);
      left -= length;
      if (left === 0) resolve();
    };
  });
  expect(seen[0]).toBe(buffer);
  expect(new Set(seen.slice(1))).toEqual(new Set([wide]));
});
