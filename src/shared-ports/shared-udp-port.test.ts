import dgram from "node:dgram";
import { once } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { freePort } from "../model/testkit/free-ports.ts";
import { canSharePorts, SHARED_PORT } from "./port-sharing.ts";
import { SharedUdpPort } from "./shared-udp-port.ts";

const CAN = canSharePorts(process.versions.node);
const closing: dgram.Socket[] = [];
afterEach(() => {
  for (const socket of closing.splice(0)) socket.close();
});

async function bound(address: string, port: number, shared: boolean): Promise<dgram.Socket> {
  const family = address.includes(":") ? 6 : 4;
  const socket = dgram.createSocket({
    type: family === 6 ? "udp6" : "udp4",
    lookup: (host, _options, callback) => callback(null, host, family),
    ...(shared ? SHARED_PORT : {}),
  });
  await new Promise<void>((resolve) => socket.bind(port, address, resolve));
  return socket;
}

const kept = (socket: dgram.Socket): dgram.Socket => {
  closing.push(socket);
  return socket;
};

/** Numbers of the datagrams that came in. */
function numbersAt(socket: dgram.Socket): number[] {
  const numbers: number[] = [];
  socket.on("message", (bytes) => numbers.push(bytes.readUInt32BE()));
  return numbers;
}

function numbered(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

const nothing = () => {};

test.skipIf(!CAN).each([
  ["0.0.0.0", "127.0.0.1"],
  ["127.0.0.1", "127.0.0.1"],
  ["::", "127.0.0.1"],
  ["::1", "::1"],
])("at %s, each datagram is read by one of the two, and none by who has left (Node.js 22.12)", async (address, to) => {
  const number = await freePort();
  const first = kept(await bound(address, number, true));
  const port = new SharedUdpPort(first);
  const second = kept(await bound(address, number, true));
  const [left, taken] = [numbersAt(first), numbersAt(second)];
  const callers = await Promise.all(Array.from({ length: 64 }, async () => kept(await bound(to, 0, false))));
  let sent = 0;
  const callAll = () =>
    Promise.all(
      callers.map(
        (caller) => new Promise<void>((resolve) => caller.send(numbered(sent++), number, to, () => resolve())),
      ),
    );
  /** A socket holds only so many. */
  const allRead = async () => {
    while (left.length + taken.length < sent) await nextTurn();
  };
  await callAll();
  const diverted = port.divert();
  await callAll();
  await diverted;
  await allRead();
  const before = left.length;
  for (let turn = 0; turn < 10; turn++) {
    await callAll();
    // An answer leaves from the port that was called, though others get what comes to it.
    const answered = once(callers[0] as dgram.Socket, "message");
    port.send(numbered(0), callers[0]?.address().port ?? 0, address === "::" ? `::ffff:${to}` : to, nothing);
    const [, from] = (await answered) as [Buffer, dgram.RemoteInfo];
    expect(from.port).toBe(number);
    await allRead();
  }
  expect([...left, ...taken].sort((a, b) => a - b)).toEqual(Array.from({ length: sent }, (_, each) => each));
  expect(before).toBeGreaterThan(0);
  expect(left.length).toBe(before);
});
