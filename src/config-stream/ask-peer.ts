/** A question to another controller, which says hello as a proxy does and gets no configuration. */
import net from "node:net";
import tls from "node:tls";
import { LineSplitter } from "../lines/line-splitter.ts";
import type { Clock, Timer } from "../model/clock.ts";
import { type AnswerReader, AskChannel, AskMessageSchema } from "./ask-channel.ts";
import { ALPN, MAX_CLIENT_LINE_BYTES, PING_MS, SILENCE_MS } from "./stream-messages.ts";

export interface PeerPlace {
  readonly host: string;
  readonly port: number;
  /** Name in its certificate. */
  readonly serverName: string;
  readonly ca: Buffer | string;
  readonly token: string;
}

/**
 * Asks over a connection of its own.
 * @returns ends it early. The reader hears an end with status 0 where the other controller cannot be reached.
 */
export function askPeer(place: PeerPlace, clock: Clock, path: string, reader: AnswerReader): () => void {
  const { host, port, serverName, ca, token } = place;
  const socket = tls.connect({
    host,
    port,
    ca,
    ...(net.isIP(serverName) === 0 ? { servername: serverName } : {}),
    minVersion: "TLSv1.3",
    ALPNProtocols: [ALPN],
  });
  const send = (message: object) => void socket.write(`${JSON.stringify(message)}\n`);
  const channel = new AskChannel({ send, isBehind: () => false });
  const lines = new LineSplitter(MAX_CLIENT_LINE_BYTES);
  let ping: Timer | undefined;
  const pingLater = () => {
    ping = clock.after(PING_MS, () => {
      send({ type: "ping" });
      pingLater();
    });
  };
  socket.once("secureConnect", () => {
    send({ type: "hello", token });
    channel.ask(path, {
      onText: (text) => {
        if (!over) reader.onText(text);
      },
      onEnd: (status) => {
        end(status);
        socket.destroy();
      },
    });
    pingLater();
  });
  let over = false;
  const end = (status: number) => {
    if (over) return;
    over = true;
    reader.onEnd(status);
  };
  const silent = () => clock.after(SILENCE_MS, () => socket.destroy());
  let silence = silent();
  socket.on("data", (bytes: Buffer) => {
    silence.cancel();
    silence = silent();
    try {
      lines.push(bytes, (line) => {
        const message = AskMessageSchema.safeParse(JSON.parse(line));
        if (message.success) channel.take(message.data);
      });
    } catch {
      // What is no message of ours is from no controller of ours.
      socket.destroy();
    }
  });
  // The close event follows and says enough.
  socket.on("error", () => {});
  socket.once("close", () => {
    ping?.cancel();
    silence.cancel();
    channel.close();
    end(0);
  });
  return () => {
    over = true;
    socket.destroy();
  };
}
