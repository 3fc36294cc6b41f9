import { once } from "node:events";
import net from "node:net";
import { afterEach, expect, test } from "vitest";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { HttpSender } from "./http-sender.ts";
import { SEND_TIMEOUT_MS } from "./span-sender.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A collector that does this with each request whose content, `spans`, has come; connections and requests count from 1. */
async function collectorThat(does: (socket: net.Socket, connection: number, request: number) => void) {
  let connections = 0;
  let requests = 0;
  const server = net.createServer((socket) => {
    const connection = ++connections;
    closing.push(() => socket.destroy());
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      text += bytes.toString();
      if (!text.endsWith("spans")) return;
      text = "";
      does(socket, connection, ++requests);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => server.close());
  const clock = new ManualClock();
  const { port } = server.address() as net.AddressInfo;
  const sender = new HttpSender({
    url: `http://127.0.0.1:${port}/v1/traces`,
    contentType: "text/plain",
    headers: {},
    clock,
    encode: () => "spans",
    refusedIn: () => 0,
  });
  closing.push(() => sender.close());
  return { clock, sender, send: () => sender.send([]), counts: () => ({ connections, requests }) };
}

test("a connection to the collector is kept", async () => {
  const { send, counts } = await collectorThat((socket) => socket.write(OK));
  for (let count = 0; count < 3; count++) expect(await send()).toEqual({ taken: true, refused: 0 });
  expect(counts()).toEqual({ connections: 1, requests: 3 });
});

test("a kept connection that the collector closes as it is used costs nothing", async () => {
  const { send, counts } = await collectorThat((socket, connection, request) => {
    if (connection === 1 && request === 2) socket.destroy();
    else socket.write(OK);
  });
  expect(await send()).toEqual({ taken: true, refused: 0 });
  expect(await send()).toEqual({ taken: true, refused: 0 });
  expect(counts()).toEqual({ connections: 2, requests: 3 });
});

test("a new connection that the collector closes is no reason to open another at once", async () => {
  const { send, counts } = await collectorThat((socket) => socket.destroy());
  expect(await send()).toMatchObject({ taken: false, again: true, reason: "socket hang up" });
  expect(counts()).toEqual({ connections: 1, requests: 1 });
});

test.each([
  ["no answer", ""],
  ["half a head", "HTTP/1.1 200 OK\r\ncont"],
  ["half an answer", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"],
])("%s is waited for so long, on a new connection and on a kept one", async (_, part) => {
  const { clock, send } = await collectorThat((socket, _connection, request) => {
    if (request === 2) {
      socket.write(OK);
      return;
    }
    socket.write(part, () => clock.advance(SEND_TIMEOUT_MS));
  });
  const late = { taken: false, again: true, reason: "no answer within 5 s" };
  expect(await send()).toEqual(late);
  expect(await send()).toEqual({ taken: true, refused: 0 });
  expect(await send()).toEqual(late);
  expect(clock.pending).toBe(0);
});

test("an answer that changes the protocol is none", async () => {
  const { clock, send } = await collectorThat((socket) => {
    socket.once("close", () => clock.advance(SEND_TIMEOUT_MS));
    socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: other\r\nconnection: upgrade\r\n\r\n");
  });
  expect(await send()).toEqual({ taken: false, again: true, reason: "no answer within 5 s" });
});

test("an answer that is cut off has not taken anything", async () => {
  const { send } = await collectorThat((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"));
  expect(await send()).toMatchObject({ taken: false, again: true, reason: "aborted" });
});

test("an answer that is malformed behind its head has not taken anything", async () => {
  const { send } = await collectorThat((socket) =>
    socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n"),
  );
  expect(await send()).toMatchObject({ taken: false, again: true });
});

test("what comes behind an answer does no harm", async () => {
  const { send } = await collectorThat((socket) => socket.write(`${OK}more`));
  expect(await send()).toEqual({ taken: true, refused: 0 });
});

test("spans that were answered are not sent again at once, whatever is wrong with the answer", async () => {
  const { send, counts } = await collectorThat((socket, _connection, request) => {
    if (request === 1) socket.write(OK);
    else socket.end("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
  });
  await send();
  expect(await send()).toMatchObject({ taken: false, reason: "aborted" });
  expect(counts().requests).toBe(2);
});

test("to close ends what is under way on a kept connection, and opens no other", async () => {
  const { sender, send, counts } = await collectorThat((socket, _connection, request) => {
    if (request === 1) socket.write(OK);
    else sender.close();
  });
  await send();
  expect(await send()).toMatchObject({ taken: false, reason: "the sender is closed" });
  expect(counts()).toEqual({ connections: 1, requests: 2 });
});

test("an answer without end is read no further than 64 KiB", async () => {
  const { send } = await collectorThat((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n${"x".repeat(100_000)}`);
  });
  expect(await send()).toMatchObject({ taken: false, reason: "it answers more than 65536 bytes" });
});

test.each([
  ["seconds", "7", 7_000],
  ["a date", "Thu, 01 Jan 1970 00:16:49 GMT", 9_000],
  ["a date that is past", "Thu, 01 Jan 1970 00:16:39 GMT", 0],
  ["no time at all", "soon", 0],
])("Retry-After is obeyed: %s", async (_, value, afterMs) => {
  // Whose clock stands at 00:16:40.
  const { send } = await collectorThat((socket) => {
    socket.write(`HTTP/1.1 503 Service Unavailable\r\nretry-after: ${value}\r\ncontent-length: 0\r\n\r\n`);
  });
  expect(await send()).toMatchObject({ again: true, afterMs });
});

test("a redirection is not followed, and said", async () => {
  const { send, counts } = await collectorThat((socket) => {
    socket.write("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n");
  });
  expect(await send()).toMatchObject({ taken: false, again: false, reason: "it answers 302 Found" });
  expect(counts().requests).toBe(1);
});
