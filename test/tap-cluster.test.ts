/** `tulle tap` on a cluster: every proxy's calls, by way of the API server. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { AdminServer, json } from "../src/admin/admin-server.ts";
import { ForwardingServer } from "../src/kube/testkit/forwarding-server.ts";
import { systemClock } from "../src/model/clock.ts";
import { CERTIFICATE } from "../src/model/testkit/certificate.ts";
import { exchangeRecord } from "../src/proxy/access-log/testkit/records.ts";
import { Taps } from "../src/proxy/tap/taps.ts";
import { tapRoute } from "../src/proxy-daemon/tap-route.ts";
import { until } from "./until.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** The admin API of a proxy, as a Pod has it on its loopback. @param services that are in force there */
async function proxy(...services: string[]): Promise<{ taps: Taps; port: number }> {
  const taps = new Taps(systemClock);
  const server = new AdminServer({
    ...tapRoute(taps, systemClock),
    "/api/service-ports": { says: "", answer: () => json(services) },
  });
  const { port } = await server.listen("127.0.0.1", 0);
  closing.push(() => server.close());
  return { taps, port };
}

function kubeconfigOf(server: ForwardingServer): string {
  const folder = mkdtempSync(join(tmpdir(), "tulle-tap-"));
  closing.push(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "kubeconfig");
  const ca = Buffer.from(CERTIFICATE).toString("base64");
  const config = {
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster: { server: server.access.server, "certificate-authority-data": ca } }],
    users: [{ name: "u", user: { token: "secret" } }],
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

async function tulleTap(server: ForwardingServer, ...args: string[]) {
  const flags = ["tap", "--kubeconfig", kubeconfigOf(server), "--namespace", "tulle", ...args];
  const child = spawn(process.execPath, [join(ROOT, "bin/tulle"), ...flags]);
  closing.push(() => child.kill("SIGKILL"));
  const said = { out: "", err: "" };
  child.stdout.on("data", (bytes) => {
    said.out += bytes;
  });
  child.stderr.on("data", (bytes) => {
    said.err += bytes;
  });
  const ended = once(child, "close").then(([code]) => code as number);
  return { said, ended };
}

test("shows the calls of every proxy, and of one that cannot be reached says so", async () => {
  const proxies = [await proxy("shop/web:80"), await proxy("shop/web:80")];
  const ports = new Map(proxies.map(({ port }, index) => [`proxy-${index}`, port]));
  const server = await ForwardingServer.start((pod) => ports.get(pod) ?? "closed");
  closing.push(() => server.close());
  server.pods.push("proxy-0", "proxy-1", "proxy-2");
  const { said, ended } = await tulleTap(server, "shop/web", "--status", "5xx", "--count", "4");
  const areOpen = () => proxies.every(({ taps }) => taps.tapCount === 1) && said.err.includes("proxy-2");
  await until(areOpen);
  for (const { taps } of proxies) for (const status of [503, 200, 504]) taps.note(exchangeRecord({ status }));
  expect(await ended).toBe(0);
  const statuses = [...said.out.matchAll(/ (\d{3}) +12 ms$/gm)].map(([, status]) => status);
  expect(statuses.sort()).toEqual(["503", "503", "504", "504"]);
  expect(
    said.err
      .split("\n")
      .filter((line) => line !== "")
      .sort(),
  ).toEqual([
    "tulle: looking at 3 proxies in namespace tulle",
    "tulle: warning: proxy-2 cannot be looked at, it is tried again: port 9000 of tulle/proxy-2: connection refused",
  ]);
  expect(server.requests.every(({ authorization }) => authorization === "Bearer secret")).toBe(true);
});

test("warns of a Service that is not there, as where it looks at one proxy or shows rates", async () => {
  const { taps, port } = await proxy("shop/web:80");
  const server = await ForwardingServer.start(() => port);
  closing.push(() => server.close());
  server.pods.push("proxy-0");
  const { said } = await tulleTap(server, "shop/wep");
  await until(() => taps.tapCount === 1 && said.err.includes("there is no"));
  expect(said.err).toContain("tulle: warning: there is no Service shop/wep in the mesh; is shop/web meant?\n");
});
