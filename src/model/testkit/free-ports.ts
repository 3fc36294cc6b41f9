import { once } from "node:events";
import net from "node:net";

/** Below those that the kernel gives to whoever asks for any, as other files' tests do meanwhile. */
const LOWEST_PORT = 20_000;
const PORTS = 12_000;

/** Of TCP, on 127.0.0.1; a moment ago they were nobody's. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: net.Server[] = [];
  while (servers.length < count) {
    const server = net.createServer().listen(LOWEST_PORT + Math.floor(Math.random() * PORTS), "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (isFree) servers.push(server);
  }
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map(async (server) => once(server.close(), "close")));
  return ports;
}
