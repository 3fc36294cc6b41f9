/**
 * `node bench/idle-load.mjs ADDRESS PORT HOST COUNT`: opens connections, sends one request over each, one after the
 * other in a few lanes, prints `{"open": n}` once all have their answer, and holds them until it is ended.
 */
import net from "node:net";

const [address, port, host, count] = process.argv.slice(2);
const LANES = 8;
/** The ephemeral ports of one address do not suffice beside what waits in TIME_WAIT. */
const SOURCES = ["127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4"];
let left = Number(count);
let open = 0;

/** Resolves once a connection had an answer to its request. */
const one = (localAddress) =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ host: address, port: Number(port), localAddress });
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    open++;
    socket.on("close", () => open--);
    socket.once("error", reject);
    socket.on("data", () => resolve()); // each answer is small and comes in one piece
  });

async function lane(index) {
  while (left-- > 0) await one(SOURCES[index % SOURCES.length]);
}

await Promise.all(Array.from({ length: LANES }, (_, index) => lane(index)));
console.log(JSON.stringify({ open }));
