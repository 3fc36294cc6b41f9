import { once } from "node:events";
import net from "node:net";
import { setImmediate } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { LineChannel } from "./line-channel.ts";

test("one that says more than the other hears waits, and no line is lost", async () => {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[net.Socket]>;
  const { port } = server.address() as net.AddressInfo;
  const says = new LineChannel(net.connect(port, "127.0.0.1"), 1024 * 1024);
  const [socket] = await accepted;
  const hears = new LineChannel(socket, 1024 * 1024);
  onTestFinished(() => {
    says.destroy();
    hears.destroy();
    server.close();
  });
  const long = "x".repeat(64 * 1024);
  const lines = Array.from({ length: 400 }, (_, index) => `${index} ${long}`);
  for (const line of lines) says.say(line);
  while (!socket.isPaused()) await setImmediate();
  expect(says.isBehind).toBe(true);
  says.end();
  const heard: string[] = [];
  for (let line = await hears.hear(); line !== undefined; line = await hears.hear())
    heard.push(line.split(" ")[0] ?? "");
  expect(heard).toEqual(lines.map((_, index) => `${index}`));
});
