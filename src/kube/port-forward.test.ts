import { once } from "node:events";
import net from "node:net";
import { afterEach, expect, test } from "vitest";
import { forwardPort } from "./port-forward.ts";
import { ForwardingServer, type PortOf } from "./testkit/forwarding-server.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function listening(onSocket: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, onSocket).listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

async function apiServer(portOf: PortOf) {
  const server = await ForwardingServer.start(portOf);
  closing.push(() => server.close());
  return { server, access: server.access };
}

test("bytes go both ways, to the port of the Pod that was named, with our credentials", async () => {
  const port = await listening((socket) => socket.on("data", (bytes) => socket.write(`echo ${bytes}`)));
  const { server, access } = await apiServer(() => port);
  const stream = await forwardPort(access, { namespace: "tulle", pod: "tulle-proxy-x", port: 9000 });
  closing.push(() => stream.destroy());
  stream.write("hello");
  expect(String((await once(stream, "data"))[0])).toBe("echo hello");
  expect(server.requests).toEqual([
    { path: "/api/v1/namespaces/tulle/pods/tulle-proxy-x/portforward?ports=9000", authorization: "Bearer secret" },
  ]);
});

test("the stream ends with the Pod's connection", async () => {
  const port = await listening((socket) => socket.end("bye"));
  const { access } = await apiServer(() => port);
  const stream = await forwardPort(access, { namespace: "tulle", pod: "p", port: 9000 });
  let text = "";
  for await (const piece of stream) text += String(piece);
  expect(text).toBe("bye");
});

test("the Pod's connection ends with the stream", async () => {
  let gone = () => {};
  const over = new Promise<void>((resolve) => {
    gone = resolve;
  });
  const port = await listening((socket) => {
    socket.on("error", gone);
    socket.on("end", gone);
    socket.resume();
  });
  const { access } = await apiServer(() => port);
  const stream = await forwardPort(access, { namespace: "tulle", pod: "p", port: 9000 });
  stream.destroy();
  await over;
});

test("a port where nothing listens is an error of the stream", async () => {
  const { access } = await apiServer(() => "closed");
  const stream = await forwardPort(access, { namespace: "tulle", pod: "p", port: 9000 });
  const [error] = (await once(stream, "error")) as [Error];
  expect(error.message).toBe("port 9000 of tulle/p: connection refused");
});

test("an API server that refuses, or is not there, is an error that says which Pod", async () => {
  const { server, access } = await apiServer(() => "forbidden");
  const there = { namespace: "tulle", pod: "p", port: 9000 };
  await expect(forwardPort(access, there)).rejects.toThrow(/^port 9000 of tulle\/p: .*403/);
  server.close();
  await expect(forwardPort(access, there)).rejects.toThrow(/^port 9000 of tulle\/p: .*ECONNREFUSED/);
});
