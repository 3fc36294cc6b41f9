import { once } from "node:events";
import type net from "node:net";
import type { Clock } from "../../model/clock.ts";

/** How long answers under way may take when a sample of the loopback cluster ends. */
export const SAMPLE_DRAIN_MS = 5_000;
const BACKLOG = 4096;

/**
 * @returns the port that was bound
 * @throws the error of bind(2)
 */
export async function listen(server: net.Server, address: string, port: number): Promise<number> {
  server.listen({ host: address, port, backlog: BACKLOG, exclusive: true });
  await once(server, "listening");
  return (server.address() as net.AddressInfo).port;
}

/** Accepts no more, and resolves when the sockets have ended; those that take too long are cut. */
export async function drain(
  server: net.Server,
  sockets: ReadonlySet<net.Socket>,
  clock: Clock,
  drainMs = SAMPLE_DRAIN_MS,
): Promise<void> {
  const deadline = clock.after(drainMs, () => {
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => server.close(() => resolve()));
  deadline.cancel();
}
