/** How `tulle proxy` ends: what it lets finish, and with which code. */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { webConfig } from "../src/config/testkit/shop-config.ts";
import { freePorts } from "../src/model/testkit/free-ports.ts";
import { ProxyHost } from "./running-proxy.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

let host: ProxyHost;
let port: number;
/** Ends the call that the endpoint has. */
let answer: () => void;
let called: Promise<void>;

beforeEach(async () => {
  let onCalled = () => {};
  called = new Promise((resolve) => {
    onCalled = resolve;
  });
  const server = http.createServer((_request, response) => {
    answer = () => response.end("hello");
    onCalled();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const endpoint = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  host = await ProxyHost.open();
  closing.push(() => host.close());
  [port = 0] = await freePorts(1);
  host.publish(webConfig(port, endpoint));
});

/** A call under way: what came of it. */
function call(): Promise<string> {
  const socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  closing.push(() => socket.destroy());
  socket.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  let received = "";
  socket.on("data", (bytes) => {
    received += bytes;
  });
  return new Promise((resolve) => {
    socket.on("end", () => {
      socket.end();
      resolve(received);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
  });
}

/** Whether connections are taken. */
function isOpen(): Promise<boolean> {
  const socket = net.connect(port, "127.0.0.1");
  return new Promise((resolve) => {
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

describe.each([1, 2])("with %i worker(s)", (workers) => {
  test.each(["SIGTERM", "SIGHUP"] as const)(
    "the first signal (%s) lets the call under way finish, on its last answer, and the process ends with 0",
    async (signal) => {
      const proxy = host.start({ workers, "lame-duck": 0, drain: 20 });
      await host.inForceOn(1);
      const answered = call();
      await called;
      proxy.process.kill(signal);
      await proxy.says("proxy draining");
      // It takes no more calls before it lets go of the one it has.
      while (await isOpen());
      answer();
      expect(await answered).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close\r\n[\s\S]*hello/);
      expect(await proxy.ended()).toBe(0);
    },
  );

  test("a terminal that is closed tells it in more than one way, and all of them are the first signal", async () => {
    const proxy = host.start({ workers, "lame-duck": 0, drain: 20 });
    await host.inForceOn(1);
    const answered = call();
    await called;
    for (const signal of ["SIGHUP", "SIGHUP", "SIGTERM", "SIGHUP"] as const) {
      proxy.process.kill(signal);
      await proxy.says("proxy draining");
    }
    while (await isOpen());
    answer();
    expect(await answered).toContain("200 OK");
    expect(await proxy.ended()).toBe(0);
  });

  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)("a second signal (%s) ends it at once, with %i", async (signal, code) => {
    const proxy = host.start({ workers, "lame-duck": 60, drain: 60 });
    await host.inForceOn(1);
    const answered = call();
    await called;
    proxy.process.kill("SIGTERM");
    await proxy.says("proxy draining");
    proxy.process.kill(signal);
    expect(await proxy.ended()).toBe(code);
    expect(await answered).not.toContain("200 OK");
  });
});
