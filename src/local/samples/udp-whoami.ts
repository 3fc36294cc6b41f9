/** traefik/whoamiudp: a datagram `WHO` says who answered, any other comes back behind `Received: `. */
import dgram from "node:dgram";
import { isIPv6 } from "node:net";
import type { SampleSpec } from "./sample-images.ts";
import type { RunningSample, SampleOptions } from "./samples.ts";
import { identityLines, selfOf } from "./whoami-text.ts";

/** @throws the error of bind(2) */
export async function startUdpWhoami(spec: SampleSpec, port: number, options: SampleOptions): Promise<RunningSample> {
  const { podName, address, log } = options;
  const identity = Buffer.from(identityLines(selfOf(spec, options)));
  const received = Buffer.from("Received: ");
  // On the loopback cluster it is bound to the Pod's address alone: a socket for all addresses would answer from another.
  const socket = dgram.createSocket(isIPv6(address) ? "udp6" : "udp4");
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error) => {
      socket.close();
      reject(error);
    };
    socket.once("error", failed);
    socket.bind({ port, address, exclusive: true }, () => {
      socket.off("error", failed);
      resolve();
    });
  });
  // Of single datagrams: a caller whose port is closed again, or an answer too long for a datagram.
  socket.on("error", () => {});
  socket.on("message", (message, from) => {
    if (spec.verbose) log.info("sample datagram", { pod: podName, from: from.address });
    const who = message.toString("latin1").trim() === "WHO";
    socket.send(who ? identity : Buffer.concat([received, message]), from.port, from.address, () => {});
  });
  return {
    protocol: "UDP",
    port: socket.address().port,
    close: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };
}
