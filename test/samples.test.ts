/** The programs of the sample images as their containers run them: processes of their own on every address. */
import { type ChildProcess, spawn } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { hostname, networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";

const FILE = fileURLToPath(new URL("../bin/tulle-sample", import.meta.url));

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

interface Sample {
  readonly child: ChildProcess;
  readonly port: number;
}

function start(args: readonly string[], { file = FILE, env = {} } = {}) {
  const child = spawn(process.execPath, [file, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  return child;
}

/** On any port; resolves when it serves. */
async function serving(args: readonly string[], options?: Parameters<typeof start>[1]): Promise<Sample> {
  const child = start(args, options);
  const [line] = await once(createInterface(child.stderr), "line");
  const port = Number(/^Starting up on port (\d+)$/.exec(line)?.[1]);
  expect(port, line).toBeGreaterThan(0);
  return { child, port };
}

async function ended(child: ChildProcess): Promise<number | null> {
  const [code] = child.exitCode === null ? await once(child, "exit") : [child.exitCode];
  return code;
}

async function get(
  port: number,
  path: string,
  { host = "127.0.0.1", agent = undefined as http.Agent | undefined } = {},
) {
  const request = http.get({ host, port, path, ...(agent === undefined ? {} : { agent }) });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let body = "";
  for await (const part of response.setEncoding("utf8")) body += part;
  return { status: response.statusCode, connection: response.headers.connection, body };
}

const OWN = Object.values(networkInterfaces())
  .flatMap((addresses = []) => addresses.map(({ address }) => `IP: ${address}\n`))
  .join("");

describe("whoami", () => {
  test("says the container's hostname and addresses, and who asked", async () => {
    const { port } = await serving(["whoami", "--port", "0"]);
    const { status, body } = await get(port, "/x");
    expect(status).toBe(200);
    expect(body).toContain(`Hostname: ${hostname()}\n${OWN}RemoteAddr: 127.0.0.1:`);
    expect(body).toContain(`\nGET /x HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`);
  });

  test.skipIf(!OWN.includes("IP: ::1\n"))("answers over IPv6 too", async () => {
    const { port } = await serving(["whoami", "-port=0"]);
    expect((await get(port, "/", { host: "::1" })).body).toContain("\nRemoteAddr: [::1]:");
  });

  test("takes the image's variables, and flags over them", async () => {
    const env = { WHOAMI_PORT_NUMBER: "0", WHOAMI_NAME: "from env" };
    expect((await get((await serving(["whoami"], { env })).port, "/")).body).toMatch(/^Name: from env\nHostname: /);
    const flagged = await serving(["whoami", "-name", "from flag"], { env });
    expect((await get(flagged.port, "/")).body).toMatch(/^Name: from flag\n/);
  });

  test("is the program that a link to it is named", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tulle-sample-"));
    try {
      await symlink(FILE, join(folder, "whoami"));
      const { port } = await serving(["-port", "0"], { file: join(folder, "whoami") });
      expect((await get(port, "/bench")).body).toBe("1");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("answers what is under way after SIGTERM, closes idle connections, and ends with 0", async () => {
    const { child, port } = await serving(["whoami", "-port", "0"]);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    expect((await get(port, "/bench", { agent })).connection).toBe("keep-alive");
    const slow = get(port, "/?wait=500ms");
    // Answered on a connection opened later, so the slow one has been read.
    expect((await get(port, "/bench")).body).toBe("1");
    child.kill("SIGTERM");
    const { status, body } = await slow;
    expect(status).toBe(200);
    expect(body).toContain("GET /?wait=500ms HTTP/1.1");
    expect(await ended(child)).toBe(0);
    agent.destroy();
  });

  test("keeps a thousand connections open and answers on each, again and again", async () => {
    const { port } = await serving(["whoami", "-port", "0"]);
    const sockets = await Promise.all(
      Array.from({ length: 1000 }, async () => {
        const socket = net.connect(port, "127.0.0.1").setEncoding("utf8");
        await once(socket, "connect");
        return socket;
      }),
    );
    for (let round = 0; round < 3; round++)
      await Promise.all(
        sockets.map(async (socket) => {
          socket.write("GET /bench HTTP/1.1\r\nHost: a\r\n\r\n");
          const [text] = await once(socket, "data");
          expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n1$/);
        }),
      );
    for (const socket of sockets) socket.destroy();
  });
});

test("whoamitcp greets, says who it is, and ends at SIGTERM", async () => {
  const { child, port } = await serving(["whoamitcp", "-port", "0", "-banner", "-name", "me"]);
  const socket = net.connect(port, "127.0.0.1").setEncoding("utf8");
  const expected = `Welcome\nName: me\nHostname: ${hostname()}\n${OWN}`;
  let text = "";
  socket.write("WHO\n");
  while (text.length < expected.length) text += (await once(socket, "data"))[0];
  expect(text).toBe(expected);
  child.kill("SIGTERM");
  await once(socket, "end");
  expect(await ended(child)).toBe(0);
});

test("whoamiudp answers from the address that was asked, and ends at SIGTERM", async () => {
  const { child, port } = await serving(["whoamiudp", "-port", "0"]);
  const socket = dgram.createSocket("udp4");
  const ask = async (text: string) => {
    socket.send(text, port, "127.0.0.1");
    const [message, from] = await once(socket, "message");
    expect(from).toMatchObject({ address: "127.0.0.1", port });
    return message.toString();
  };
  expect(await ask("WHO")).toBe(`Hostname: ${hostname()}\n${OWN}`);
  expect(await ask("my data")).toBe("Received: my data");
  socket.close();
  child.kill("SIGTERM");
  expect(await ended(child)).toBe(0);
});

describe("what cannot be served ends", () => {
  const failed = async (args: readonly string[]) => {
    const child = start(args);
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (part) => {
      said += part;
    });
    const [code] = await once(child, "close");
    return { code, said };
  };

  test("with 2 for wrong usage", async () => {
    expect(await failed(["whoami", "-prot", "80"])).toEqual({
      code: 2,
      said: "whoami: the image knows no flag -prot\n",
    });
    const { code, said } = await failed(["nginx"]);
    expect(code).toBe(2);
    expect(said).toContain("PROGRAM is one of whoami, whoamitcp, whoamiudp");
  });

  test("with 1 for a port that is taken", async () => {
    const { port } = await serving(["whoami", "-port", "0"]);
    const { code, said } = await failed(["whoami", "-port", String(port)]);
    expect(code).toBe(1);
    expect(said).toBe(
      `whoami: Pod ${hostname()} cannot be served on [::]:${port}: another program or container has the port (EADDRINUSE)\n`,
    );
  });
});
