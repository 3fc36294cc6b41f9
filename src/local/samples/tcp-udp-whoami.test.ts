import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../model/clock.ts";
import { silentLog } from "../../telemetry/log.ts";
import type { SampleSpec } from "./sample-images.ts";
import { type RunningSample, startSample } from "./samples.ts";

const IP = "127.1.80.1";

async function started(kind: "tcp" | "udp", more: Partial<SampleSpec> = {}): Promise<RunningSample> {
  const spec = { kind, image: `traefik/whoami${kind}`, port: 0, name: "", verbose: false, banner: false, ...more };
  const sample = await startSample(spec, {
    podName: `whoami-${kind}`,
    address: IP,
    log: silentLog,
    clock: systemClock,
  });
  onTestFinished(() => sample.close());
  return sample;
}

const IDENTITY = (kind: string) => `Hostname: whoami-${kind}\nIP: 127.0.0.1\nIP: ${IP}\n`;

describe("over TCP", () => {
  async function connected(sample: RunningSample): Promise<net.Socket> {
    const socket = net.connect({ host: IP, port: sample.port, noDelay: true }).setEncoding("utf8");
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    return socket;
  }

  /** Says one thing and waits for as many characters as are expected. */
  async function ask(socket: net.Socket, say: string, expected: string): Promise<void> {
    socket.write(say);
    let text = "";
    while (text.length < expected.length) text += (await once(socket, "data"))[0];
    expect(text).toBe(expected);
  }

  test("each line comes back behind Received, an empty one as a line end", async () => {
    const socket = await connected(await started("tcp"));
    await ask(socket, "my data\n", "Received: my data\n");
    await ask(socket, "\n", "Received: \n");
    await ask(socket, "eee\r\n", "Received: eee\r\n");
    await ask(socket, "a\nb\n", "Received: a\nReceived: b\n");
    await ask(socket, "no line end", "Received: no line end");
  });

  test("WHO says who answered, with a line end or without, and with its name", async () => {
    const socket = await connected(await started("tcp"));
    await ask(socket, "WHO\n", IDENTITY("tcp"));
    await ask(socket, "WHO", IDENTITY("tcp"));
    await ask(socket, " WHO\r\nx\n", `${IDENTITY("tcp")}Received: x\n`);
    await ask(socket, "who\n", "Received: who\n");
    const named = await connected(await started("tcp", { name: "me" }));
    await ask(named, "WHO\n", `Name: me\n${IDENTITY("tcp")}`);
  });

  test("STOP closes, after what came before it is answered", async () => {
    const socket = await connected(await started("tcp"));
    let text = "";
    socket.on("data", (part) => {
      text += part;
    });
    socket.write("a\nSTOP\nb\n");
    await once(socket, "end");
    expect(text).toBe("Received: a\n");
  });

  test("a caller that ends its side gets its answers first", async () => {
    const sample = await started("tcp");
    const socket = net.connect({ host: IP, port: sample.port, allowHalfOpen: true }).setEncoding("utf8");
    let text = "";
    socket.on("data", (part) => {
      text += part;
    });
    socket.end("WHO\n");
    await once(socket, "end");
    expect(text).toBe(IDENTITY("tcp"));
  });

  test("with a banner, a connection is greeted", async () => {
    const sample = await started("tcp", { banner: true });
    const socket = net.connect({ host: IP, port: sample.port }).setEncoding("utf8");
    onTestFinished(() => void socket.destroy());
    expect((await once(socket, "data"))[0]).toBe("Welcome\n");
  });

  test("a caller that reads nothing is not read either, and loses nothing when he reads late", async () => {
    const socket = await connected(await started("tcp"));
    const lines = 20_000;
    socket.pause();
    socket.write(`${"x".repeat(1023)}\n`.repeat(lines));
    // With nobody reading, what is not in the kernel's buffers stays with the sender.
    for (let round = 0; round < 200; round++) await new Promise((resolve) => setImmediate(resolve));
    expect(socket.writableLength).toBeGreaterThan(0);
    let letters = 0;
    let lineEnds = 0;
    socket.on("data", (part: string) => {
      for (const letter of part) {
        if (letter === "x") letters++;
        else if (letter === "\n") lineEnds++;
      }
      if (lineEnds === lines) socket.end();
    });
    socket.resume();
    await once(socket, "close");
    expect([letters, lineEnds]).toEqual([1023 * lines, lines]);
  });

  test("close ends its connections in good order", async () => {
    const sample = await started("tcp");
    const socket = await connected(sample);
    await ask(socket, "a\n", "Received: a\n");
    const closed = sample.close();
    await once(socket, "end");
    await closed;
  });
});

describe("over UDP", () => {
  test("datagrams are answered from the Pod's own address", async () => {
    const sample = await started("udp");
    const socket = dgram.createSocket("udp4");
    onTestFinished(() => void socket.close());
    await new Promise<void>((resolve) => socket.bind(0, "127.1.80.2", resolve));
    const ask = async (say: string) => {
      socket.send(say, sample.port, IP);
      const [message, from] = (await once(socket, "message")) as [Buffer, dgram.RemoteInfo];
      expect(from).toMatchObject({ address: IP, port: sample.port });
      return message.toString();
    };
    expect(await ask("WHO")).toBe(IDENTITY("udp"));
    expect(await ask("WHO\n")).toBe(IDENTITY("udp"));
    expect(await ask("my data\n")).toBe("Received: my data\n");
    expect(await ask("")).toBe("Received: ");
  });

  test("neither a caller that is gone nor an answer too long to send harms it", async () => {
    const sample = await started("udp");
    const socket = dgram.createSocket("udp4");
    onTestFinished(() => void socket.close());
    const gone = dgram.createSocket("udp4");
    await new Promise<void>((resolve) => gone.send("WHO", sample.port, IP, () => resolve()));
    await new Promise<void>((resolve) => gone.close(resolve));
    await new Promise<void>((resolve) => socket.send(Buffer.alloc(65_507), sample.port, IP, () => resolve()));
    socket.send("WHO", sample.port, IP);
    const [message] = (await once(socket, "message")) as [Buffer];
    expect(message.toString()).toBe(IDENTITY("udp"));
  });
});
