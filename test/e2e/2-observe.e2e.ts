import { type ChildProcess, spawn } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { MeshTraffic } from "../../src/controller/proxy-relay.ts";
import { type TrafficReport, totalTraffic } from "../../src/traffic/traffic-report.ts";
import { curl, eventually, fail, MESH_NAMESPACE, podsOf, tulle } from "./cluster.ts";

/** A way to each controller replica, as somebody on call has it. */
const forwards: { readonly pod: string; readonly process: ChildProcess; readonly address: string }[] = [];

beforeAll(async () => {
  for (const { metadata } of await podsOf(MESH_NAMESPACE, "app.kubernetes.io/component=controller"))
    forwards.push(await forward(metadata.name));
}, 60_000);

afterAll(() => {
  for (const { process } of forwards) process.kill();
});

async function forward(pod: string): Promise<(typeof forwards)[number]> {
  const process = spawn("kubectl", ["-n", MESH_NAMESPACE, "port-forward", `pod/${pod}`, ":9000"]);
  const address = await new Promise<string>((resolve, reject) => {
    process.once("exit", (code) => reject(new Error(`kubectl port-forward ended with ${code}`)));
    let said = "";
    process.stdout.on("data", (bytes) => {
      said += bytes;
      const [, found] = /from (127\.0\.0\.1:\d+)/.exec(said) ?? [];
      if (found !== undefined) resolve(found);
    });
  });
  return { pod, process, address };
}

async function ask<T>(address: string, path: string): Promise<T> {
  const response = await fetch(`http://${address}${path}`);
  if (!response.ok) fail(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

const served = ({ edges, retired }: TrafficReport): number =>
  totalTraffic({ edges: edges.filter(({ servicePort }) => servicePort === "whoami/whoami:80"), retired })
    .exchanges[2] ?? 0;

/** What all proxies say. */
const whole = (address: string) =>
  eventually("all proxies answer", 10, async () => {
    const report = await ask<MeshTraffic>(address, "/api/traffic");
    return report.missing === 0 ? report : fail(`${report.missing} are missing`);
  });

const call = () => curl("whoami", "whoami-client", "http://whoami.whoami.traefik.mesh/observed");

test("each replica of the controller says what passed at all proxies, to the call", async () => {
  expect(forwards.length).toBeGreaterThan(1);
  const before = await Promise.all(forwards.map(({ address }) => whole(address)));
  for (let calls = 0; calls < 7; calls++) expect((await call()).status).toBe(200);
  await eventually("the calls are told", 10, async () => {
    for (const [index, { address, pod }] of forwards.entries()) {
      const more = served(await whole(address)) - served(before[index] as TrafficReport);
      if (more !== 7) fail(`${pod}: ${more}`);
    }
  });
});

test("each replica shows live calls at all proxies", async () => {
  const taps = forwards.map(({ address }) =>
    fetch(`http://${address}/api/tap?to=whoami/whoami&path=/observed&count=1`).then((response) => response.text()),
  );
  const shown = Promise.all(taps);
  let over = false;
  void shown.then(() => {
    over = true;
  });
  await eventually("both taps have shown a call", 30, async () => {
    await call();
    if (!over) fail("not yet");
  });
  for (const text of await shown)
    expect(JSON.parse(text)).toMatchObject({
      service: "whoami/whoami:80",
      source: "whoami/whoami-client",
      status: 200,
    });
});

test("tulle tap shows a live call on the cluster", async () => {
  const tapped = tulle("tap", "whoami/whoami", "--count", "1", "--json");
  let over = false;
  void tapped.then(() => {
    over = true;
  });
  await eventually("the tap has shown a call", 30, async () => {
    await call();
    if (!over) fail("not yet");
  });
  const { code, text } = await tapped;
  expect(code, text).toBe(0);
  expect(text).toContain('"service":"whoami/whoami:80"');
});

test("what single calls say is not for every Pod that can reach a controller", async () => {
  const url = `http://tulle-controller.${MESH_NAMESPACE}.svc.cluster.local:9000`;
  for (const path of ["/api/traffic", "/api/tap"])
    expect((await curl("whoami", "whoami-client", url + path)).status).toBe(403);
});

test("the dashboard opens through a port-forward, and has what it draws", async () => {
  for (const { address } of forwards) {
    const page = await fetch(`http://${address}/`, { headers: { accept: "text/html" } });
    const html = await page.text();
    expect(html).toMatch(/^<!doctype html>/i);
    for (const [, asset = ""] of html.matchAll(/(?:src|href)="(assets\/[^"]+)"/g))
      expect((await fetch(`http://${address}/${asset}`)).status, asset).toBe(200);
    for (const path of ["/api/config", "/api/problems", "/api/status/nodes", "/api/history"]) await ask(address, path);
    const explained = await ask<object>(
      address,
      "/api/explain?from=whoami/whoami-client&to=whoami.whoami.traefik.mesh",
    );
    expect(JSON.stringify(explained)).toContain("whoami/whoami:80");
  }
});

test("tulle top, graph and status tell of the cluster", async () => {
  const looking = tulle("top", "--once", "--json", "--interval", "5s");
  let over = false;
  const calling = (async () => {
    while (!over) await call();
  })();
  const top = await looking;
  over = true;
  await calling;
  expect(top.code, top.text).toBe(0);
  expect(top.text).toContain("whoami/whoami:80");
  const graph = await tulle("graph", "--window", "0", "--format", "json");
  expect(graph.code, graph.text).toBe(0);
  expect(graph.text).toContain("whoami/whoami-client");
  const status = await tulle("status", "--json");
  expect(status.code, status.text).toBe(0);
});
