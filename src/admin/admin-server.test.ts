import { once } from "node:events";
import http from "node:http";
import { networkInterfaces } from "node:os";
import { setImmediate } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { type AdminRequest, AdminServer, type StreamAnswer, type StreamOutput, text } from "./admin-server.ts";

const servers: AdminServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

const ROUTES = { "/secret": { says: "who may call whom", answer: () => text("secret") } };

async function listen(address: string, hosts?: "everywhere"): Promise<{ address: string; port: number }> {
  const server = new AdminServer(ROUTES, hosts);
  servers.push(server);
  return server.listen(address, 0);
}

function ask(at: { address: string; port: number }, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = { host: at.address, port: at.port, path: "/secret", headers: { host }, agent: false };
    http
      .get(request, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (piece: string) => {
          body += piece;
        });
        response.on("end", () => resolve(`${response.statusCode} ${body.slice(0, 6)}`));
      })
      .on("error", reject);
  });
}

describe("the admin API on loopback", () => {
  test.each([
    "127.0.0.1:19000",
    "127.0.0.1",
    "10.1.2.3:9000",
    "[::1]:19000",
    "localhost:9000",
    "LOCALHOST.",
    "tulle.localhost:9000",
    "tulle-controller:9000",
  ])("answers to %s", async (host) => {
    expect(await ask(await listen("127.0.0.1"), host)).toBe("200 secret");
  });

  test.each([
    "rebound.example.com:19000",
    "example.com.",
    "127.0.0.1.example.com",
    "localhost.example.com:9000",
    "[::1].example.com",
  ])("tells nothing to a page that calls it %s", async (host) => {
    expect(await ask(await listen("127.0.0.1"), host)).toBe("421 this A");
  });
});

const outside = Object.values(networkInterfaces())
  .flatMap((addresses = []) => addresses)
  .find(({ internal, family }) => !internal && family === "IPv4")?.address;

// A machine without a network has no address but loopback.
describe.skipIf(outside === undefined)("the admin API on another address", () => {
  test("answers to any name, as the API server has its own when it proxies to a Pod", async () => {
    expect(await ask(await listen(outside as string), "kubernetes.example.com")).toBe("200 secret");
  });

  test("is as strict where it is told to be", async () => {
    expect(await ask(await listen(outside as string, "everywhere"), "rebound.example.com")).toBe("421 this A");
  });
});

describe("an answer without end", () => {
  async function open(method = "GET") {
    const outputs: StreamOutput[] = [];
    let stopped = 0;
    const answer = (_parameters: readonly string[], { query, accept }: AdminRequest): StreamAnswer => ({
      type: accept,
      start: (output) => {
        output.write(`${query.get("who")}\n`);
        outputs.push(output);
        return () => stopped++;
      },
    });
    const server = new AdminServer({ "/live": { says: "", answer } });
    servers.push(server);
    const { address, port } = await server.listen("127.0.0.1", 0);
    const headers = { accept: "text/event-stream" };
    const request = http.request({ host: address, port, path: "/live?who=me", method, headers, agent: false }).end();
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    response.setEncoding("utf8");
    response.on("error", () => {});
    return { server, response, output: outputs[0] as StreamOutput, stops: () => stopped };
  }

  test("goes out piece by piece, as its query and Accept ask, until it is ended", async () => {
    const { response, output, stops } = await open();
    expect(response.headers["content-type"]).toBe("text/event-stream");
    expect((await once(response, "data")) as string[]).toEqual(["me\n"]);
    output.write("more");
    expect((await once(response, "data")) as string[]).toEqual(["more"]);
    output.end();
    await once(response, "close");
    expect(response.complete).toBe(true);
    expect(output.write("late")).toBe(false);
    expect(stops()).toBe(1);
  });

  test("is over when the server closes", async () => {
    const { server, response, stops } = await open();
    response.resume();
    const closed = new Promise((resolve) => response.once("close", resolve));
    await server.close();
    await closed;
    expect([response.complete, stops()]).toEqual([false, 1]);
  });

  test("is over when its reader goes", async () => {
    const { server, response, output, stops } = await open();
    response.destroy();
    // Until the server has heard of it, it takes what a socket holds.
    while (stops() === 0) await setImmediate();
    expect(output.write("late")).toBe(false);
    expect(stops()).toBe(1);
    await server.close();
  });

  test("takes nothing more while its reader is behind", async () => {
    const { output, stops } = await open();
    const piece = "x".repeat(64 * 1024);
    while (output.write(piece)) await setImmediate();
    expect(output.write("more")).toBe(false);
    expect(stops()).toBe(0);
  });

  test("has a head only, for HEAD", async () => {
    const { response, output, stops } = await open("HEAD");
    expect([response.statusCode, output, stops()]).toEqual([200, undefined, 0]);
  });
});
