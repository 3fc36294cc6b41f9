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
