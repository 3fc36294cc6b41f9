/**
 * The far ends of a TCP flow: `node bench/flow-load.mjs sink PORT ADDRESS...` takes bytes and drops them;
 * `node bench/flow-load.mjs source ADDRESS PORT SECONDS FLOWS` sends as many as are taken and prints how many that were.
 */
import net from "node:net";

const [role, ...args] = process.argv.slice(2);
const CHUNK = Buffer.alloc(256 * 1024, "x");

function sink(port, addresses) {
  for (const address of addresses)
    net.createServer((socket) => socket.on("error", () => {}).resume()).listen(port, address);
}

function source(address, port, seconds, flows) {
  const sockets = Array.from({ length: flows }, () => {
    const socket = net.connect(port, address);
    const fill = () => {
      while (socket.write(CHUNK));
    };
    socket.on("connect", fill).on("drain", fill);
    socket.on("error", (error) => {
      console.error(error.message);
      process.exit(1);
    });
    return socket;
  });
  setTimeout(() => {
    const bytes = sockets.reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0);
    console.log(JSON.stringify({ bytes }));
    process.exit(0);
  }, seconds * 1000);
}

if (role === "sink") sink(Number(args[0]), args.slice(1));
else source(args[0], Number(args[1]), Number(args[2]), Number(args[3]));
