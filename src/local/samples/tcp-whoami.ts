/** traefik/whoamitcp: `WHO` says who answered, `STOP` closes, anything else comes back behind `Received: `. */
import net from "node:net";
import type { SampleSpec } from "./sample-images.ts";
import { drain, listen } from "./sample-server.ts";
import type { RunningSample, SampleOptions } from "./samples.ts";
import { identityLines, selfOf } from "./whoami-text.ts";

const LF = 0x0a;

/** @throws the error of bind(2) */
export async function startTcpWhoami(spec: SampleSpec, port: number, options: SampleOptions): Promise<RunningSample> {
  const { podName, address, log, clock } = options;
  const identity = identityLines(selfOf(spec, options));
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true, keepAlive: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    if (spec.verbose) log.info("sample connection", { pod: podName, from: socket.remoteAddress ?? "" });
    if (spec.banner) socket.write("Welcome\n");
    answerLines(socket, identity);
  });
  const bound = await listen(server, address, port);
  // After that, of single accepts (EMFILE): the next ones may succeed.
  server.on("error", (error) => log.warn("sample", { error: error.message }));
  return {
    protocol: "TCP",
    port: bound,
    async close() {
      const drained = drain(server, sockets, clock);
      // Each read is answered at once, so what is not yet written is all that is under way.
      for (const socket of sockets) socket.end();
      await drained;
    },
  };
}

/**
 * Each line is answered by itself, and so is what a read ends with: callers that send no line end get an answer too,
 * as with the image.
 */
function answerLines(socket: net.Socket, identity: string): void {
  socket.on("drain", () => socket.resume());
  socket.on("data", (bytes) => {
    const answers: Buffer[] = [];
    let stopped = false;
    for (let start = 0; start < bytes.length && !stopped; ) {
      const end = bytes.indexOf(LF, start) + 1 || bytes.length;
      const line = bytes.subarray(start, end);
      const command = line.toString("latin1").trim();
      if (command === "STOP") stopped = true;
      else answers.push(...(command === "WHO" ? [Buffer.from(identity)] : [Buffer.from("Received: "), line]));
      start = end;
    }
    const flushed = socket.write(Buffer.concat(answers));
    if (stopped) {
      socket.removeAllListeners("data");
      socket.end();
      socket.resume();
    } else if (!flushed) socket.pause();
  });
}
