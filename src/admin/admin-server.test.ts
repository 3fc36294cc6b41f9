import http from "node:http";
import { networkInterfaces } from "node:os";
import { afterEach, describe, expect, test } from "vitest";
import { AdminServer, text } from "./admin-server.ts";

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
