import net from "node:net";
import { afterEach, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { Newcomers } from "./newcomers.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** A server on 127.0.0.1 whose callers pass by `newcomers`. */
async function fixture() {
  const clock = new ManualClock();
  const known = new Set<string>();
  const served: net.Socket[] = [];
  const newcomers = new Newcomers({ clock, waitMs: 1000, isKnown: (address) => known.has(address) });
  let accepted = () => {};
  const server = net.createServer((socket) => {
    newcomers.admit(socket, () => served.push(socket));
    accepted();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(server);
  const call = async () => {
    const arrived = new Promise<void>((resolve) => {
      accepted = resolve;
    });
    const socket = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
    open.push({ close: () => socket.destroy() });
    await arrived;
    return socket;
  };
  return { clock, known, served, newcomers, call };
}

test("a caller that is known is served at once", async () => {
  const { known, served, call } = await fixture();
  known.add("127.0.0.1");
  await call();
  expect(served).toHaveLength(1);
});

test("a caller that is not known waits for the configuration that knows it, and none of its bytes is lost", async () => {
  const { known, served, newcomers, call } = await fixture();
  const socket = await call();
  socket.write("hello");
  expect(served).toHaveLength(0);
  newcomers.look();
  expect(served).toHaveLength(0);
  known.add("127.0.0.1");
  newcomers.look();
  const bytes = await new Promise((resolve) => served[0]?.once("data", resolve));
  expect(String(bytes)).toBe("hello");
});

test("a caller that no configuration knows is a stranger after its time, and then does not wait again", async () => {
  const { clock, served, call } = await fixture();
  await call();
  clock.advance(999);
  expect(served).toHaveLength(0);
  clock.advance(1);
  expect(served).toHaveLength(1);
  await call();
  expect(served).toHaveLength(2);
  clock.advance(30_000);
  await call();
  expect(served).toHaveLength(2);
});

test("nobody waits any more when the proxy closes", async () => {
  const { served, newcomers, call } = await fixture();
  await call();
  newcomers.close();
  expect(served).toHaveLength(1);
});
