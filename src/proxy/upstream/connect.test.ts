import { once } from "node:events";
import net from "node:net";
import { afterEach, expect, test } from "vitest";
import { type Clock, systemClock } from "../../model/clock.ts";
import type { Failure } from "../../model/failures.ts";
import { freePort } from "../../model/testkit/free-ports.ts";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import type { SharedReadSocket } from "../socket/shared-read.ts";
import { type ConnectOptions, connectTo } from "./connect.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

interface Dialable {
  readonly address: string;
  readonly dialPort: number;
}

async function listen(): Promise<{ server: net.Server; endpoint: Dialable }> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => closing.push(() => socket.destroy()));
  server.listen(0, "127.1.1.1");
  closing.push(() => server.close());
  await once(server, "listening");
  return { server, endpoint: { address: "127.1.1.1", dialPort: (server.address() as net.AddressInfo).port } };
}

/** @returns what it comes to, and the way to cancel it */
function dial(endpoint: Dialable, rest: Partial<ConnectOptions> = {}) {
  const results: (SharedReadSocket | Failure)[] = [];
  let cancel = () => {};
  const first = new Promise<SharedReadSocket | Failure>((resolve) => {
    cancel = connectTo(endpoint, {
      clock: systemClock,
      timeoutMs: 5000,
      localAddress: undefined,
      readBuffers: { usual: Buffer.alloc(1024) },
      ...rest,
      onResult: (result) => {
        if (typeof result !== "string") closing.push(() => result.socket.destroy());
        results.push(result);
        resolve(result);
      },
    });
  });
  return { results, first, cancel };
}

async function closedPort(): Promise<Dialable> {
  return { address: "127.1.1.1", dialPort: await freePort("127.1.1.1") };
}

test("gives a connected socket that nobody listens to yet and whose sides end by themselves", async () => {
  const { endpoint } = await listen();
  const { socket } = (await dial(endpoint).first) as SharedReadSocket;
  expect(socket.remotePort).toBe(endpoint.dialPort);
  expect(socket.allowHalfOpen).toBe(true);
  expect(["connect", "error", "data"].map((event) => socket.listenerCount(event))).toEqual([0, 0, 0]);
});

test("says that the endpoint refused", async () => {
  expect(await dial(await closedPort()).first).toBe("ConnectRefused");
});

test("says once that the endpoint took too long, and takes no connection that stands after that", async () => {
  const { server, endpoint } = await listen();
  const clock = new ManualClock();
  const { results } = dial(endpoint, { clock, timeoutMs: 1000 });
  clock.advance(999);
  expect(results).toEqual([]);
  clock.advance(1);
  expect(results).toEqual(["ConnectTimeout"]);
  // Dialled later, so what the first attempt still had to say is over when this one stands.
  const later = dial(endpoint);
  await Promise.all([later.first, once(server, "connection")]);
  expect(results).toEqual(["ConnectTimeout"]);
});

test("says nothing of an attempt that was cancelled, and opens nothing", async () => {
  const refused = dial(await closedPort());
  const { endpoint } = await listen();
  const clock = new ManualClock();
  const standing = dial(endpoint, { clock });
  refused.cancel();
  standing.cancel();
  clock.advance(10_000);
  await dial(endpoint).first;
  expect([...refused.results, ...standing.results]).toEqual([]);
});

test("does not close a connection that is cancelled too late, nor lets it time out", async () => {
  const { endpoint } = await listen();
  const clock = new ManualClock();
  const { first, cancel } = dial(endpoint, { clock });
  const { socket } = (await first) as SharedReadSocket;
  cancel();
  clock.advance(10_000);
  expect(socket.destroyed).toBe(false);
});

test("leaves no timer behind, whatever it comes to", async () => {
  let timers = 0;
  const clock: Clock = {
    ...systemClock,
    after: (delayMs, fire) => {
      timers++;
      const timer = systemClock.after(delayMs, fire);
      return {
        cancel: () => {
          timers--;
          timer.cancel();
        },
      };
    },
  };
  const { endpoint } = await listen();
  await dial(endpoint, { clock }).first;
  await dial(await closedPort(), { clock }).first;
  dial(endpoint, { clock }).cancel();
  expect(timers).toBe(0);
});

test("dials from the address that it is told", async () => {
  const { endpoint } = await listen();
  const { socket } = (await dial(endpoint, { localAddress: "127.1.0.7" }).first) as SharedReadSocket;
  expect(socket.localAddress).toBe("127.1.0.7");
});
