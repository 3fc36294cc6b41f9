/** `tulle proxy` where another program has a port of its own. */
import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { ProxyHost } from "./running-proxy.ts";

test.each(["health-port", "metrics-port", "admin-port"])(
  "a proxy whose --%s is taken says so, and ends",
  async (flag) => {
    const host = await ProxyHost.open();
    onTestFinished(() => host.close());
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as net.AddressInfo;
    const proxy = host.start({ [flag]: port, workers: 1, "lame-duck": 60 });
    expect(await proxy.ended()).toBe(1);
    expect(proxy.log).toContain(`EADDRINUSE`);
    expect(proxy.log).toContain(`${port}`);
  },
);
