/** Ports for what cannot take port 0: whose port is told before it listens, or is listened on again, or by nobody. */
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";

/** Below those that the kernel gives to whoever asks for any, which other tests do meanwhile. */
const LOWEST_PORT = 20_000;
const PORTS = 12_000;

/** Where nothing else listens: whoever has got a port has it here too, so that nobody else gets it while it is closed. */
const CLAIMS_ADDRESS = "127.255.254.253";

/**
 * Free of TCP and UDP, and given to no other test of this network namespace until this process ends.
 *
 * @param address where it is to be free; not one that stands for every address
 */
export async function freePorts(count: number, address = "127.0.0.1"): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = LOWEST_PORT + Math.floor(Math.random() * PORTS);
    if ((await claim(port)) && (await isFree(port, address))) ports.push(port);
  }
  return ports;
}

/** As `freePorts`. */
export async function freePort(address?: string): Promise<number> {
  const [port] = await freePorts(1, address);
  return port as number;
}

/** @returns whether it was nobody's */
function claim(port: number): Promise<boolean> {
  return listens(net.createServer().listen(port, CLAIMS_ADDRESS).unref());
}

async function isFree(port: number, address: string): Promise<boolean> {
  const stream = net.createServer().listen(port, address);
  if (!(await listens(stream))) return false;
  const datagrams = dgram.createSocket("udp4").bind(port, address);
  const isFreeOfBoth = await listens(datagrams);
  await closed(stream);
  await closed(datagrams);
  return isFreeOfBoth;
}

function listens(socket: net.Server | dgram.Socket): Promise<boolean> {
  return once(socket, "listening").then(
    () => true,
    () => false,
  );
}

async function closed(socket: net.Server | dgram.Socket): Promise<void> {
  const close = once(socket, "close");
  socket.close();
  await close;
}
