import net from "node:net";
import { afterEach, expect, test } from "vitest";
import { AdminServer, json, text } from "./admin-server.ts";
import { getJson } from "./get-json.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const never = new AbortController().signal;

/** A peer that writes this and then does as it is told. @returns its port, and when it has written */
async function peer(head: string, then: (socket: net.Socket) => void) {
  let said = () => {};
  const written = new Promise<void>((resolve) => {
    said = resolve;
  });
  const server = net.createServer((socket) => {
    cleanups.push(() => socket.destroy());
    socket.on("error", () => {});
    socket.once("data", () =>
      socket.write(head, () => {
        then(socket);
        said();
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => server.close());
  return { port: (server.address() as net.AddressInfo).port, written };
}

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n";

test("what the admin API answers is returned; another status is an error that says what was said", async () => {
  const server = new AdminServer({
    "/api/status": { says: "", answer: () => json({ leads: true }) },
    "/api/config": { says: "", answer: () => text("not yet\n", 503) },
  });
  const { port } = await server.listen("127.0.0.1", 0);
  cleanups.push(() => server.close());
  const host = "127.0.0.1";
  expect(await getJson({ host, port, path: "/api/status" }, never)).toEqual({ leads: true });
  await expect(getJson({ host, port, path: "/api/config" }, never)).rejects.toThrow(
    `127.0.0.1:${port}/api/config: 503 not yet`,
  );
});

test.each([
  ["closes in the middle of its answer", `${HEAD}{"leads"`, (socket: net.Socket) => socket.end()],
  ["resets in the middle of its answer", `${HEAD}{"leads"`, (socket: net.Socket) => socket.resetAndDestroy()],
  ["answers what is no JSON", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<p>", () => {}],
  ["answers what is no HTTP", "SSH-2.0-x\r\n", () => {}],
  ["closes without an answer", "", (socket: net.Socket) => socket.end()],
])("a peer that %s is an error", async (_, head, then) => {
  const { port } = await peer(head, then);
  await expect(getJson({ host: "127.0.0.1", port, path: "/x" }, never)).rejects.toThrow(`127.0.0.1:${port}/x: `);
});

const html =
  "HTTP/1.1 404 Not Found\r\nContent-Type: text/html;charset=utf-8\r\nContent-Length: 14\r\n\r\n<p>\n<b>no</b>\n";
const long = `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 300\r\n\r\na\u001b[31mb${"c".repeat(293)}`;

test.each([
  ["is no admin API", html, "something else answers there (text/html)"],
  ["answers what is no JSON", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<p>", "something else answers there"],
  ["answers what is no HTTP", "SSH-2.0-x\r\n", "something else answers there"],
  ["refuses with much and strange text", long, `400 a [31mb${"c".repeat(193)}`],
])("of a peer that %s there is one line", async (_, said, line) => {
  const { port } = await peer(said, () => {});
  const asked = getJson({ host: "127.0.0.1", port, path: "/x" }, never);
  await expect(asked).rejects.toThrow(new Error(`127.0.0.1:${port}/x: ${line}`));
});

test.each([
  ["says nothing", ""],
  ["stops in the middle of its answer", HEAD],
])("a peer that %s is given up when the signal says so", async (_, head) => {
  const { port, written } = await peer(head, () => {});
  const controller = new AbortController();
  const asked = getJson({ host: "127.0.0.1", port, path: "/x" }, controller.signal);
  await written;
  controller.abort();
  await expect(asked).rejects.toThrow("no answer in time");
});
