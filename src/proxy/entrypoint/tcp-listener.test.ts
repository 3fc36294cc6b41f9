import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { TcpListener } from "./tcp-listener.ts";

test("a port that cannot be had fails the listening, and is no error of an accept", async () => {
  const taken = net.createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void taken.close());
  await once(taken, "listening");
  const errors: Error[] = [];
  const listener = new TcpListener(
    () => {},
    (error) => errors.push(error),
    () => ({ usual: Buffer.alloc(1024) }),
  );
  await expect(listener.listen("127.0.0.1", (taken.address() as net.AddressInfo).port)).rejects.toThrow("EADDRINUSE");
  expect(errors).toEqual([]);
});

test("connections that had come when it closes are accepted, and none after", async () => {
  const accepted: net.Socket[] = [];
  const listener = new TcpListener(
    ({ socket }) => accepted.push(socket),
    () => {},
    () => ({ usual: Buffer.alloc(1024) }),
  );
  const port = await listener.listen("127.0.0.1", 0);
  // All of them wait in the queue: this thread accepts one in a turn.
  const callers = Array.from({ length: 50 }, () => net.connect(port, "127.0.0.1"));
  onTestFinished(() => {
    for (const socket of [...callers, ...accepted]) socket.destroy();
  });
  await Promise.all(callers.slice(0, 1).map((caller) => once(caller, "connect")));
  await listener.close();
  const late = net.connect(port, "127.0.0.1");
  const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNREFUSED");
  expect(accepted).toHaveLength(50);
  expect(callers.filter((caller) => caller.destroyed)).toEqual([]);
});
