import { expect, test } from "vitest";
import { putCoreDns } from "../controller/testkit/core-dns.ts";
import { FakeApi } from "../controller/testkit/fake-api.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { handBack, type TakeOverOptions, takeOver } from "./take-over.ts";

interface Dns {
  readonly owner: string;
  readonly inForce?: boolean;
  readonly waitsFor?: readonly string[];
  readonly faults?: readonly string[];
  readonly takenBack?: number;
  readonly mode?: string;
}

/** A mesh in namespace `new` whose leader says one after the other of these, and the last for ever. */
function fixture(...dns: readonly Dns[]) {
  const [api, clock] = [new FakeApi(), new ManualClock()];
  api.put("/api/v1/namespaces/new/services", { metadata: { name: "tulle-dns", namespace: "new" } });
  const lines: string[] = [];
  const left = [...dns];
  const stop = new AbortController();
  const options: TakeOverOptions = {
    api,
    clock,
    namespace: "new",
    timeoutMs: 5_000,
    signal: stop.signal,
    statuses: async () => {
      const said = left.length > 1 ? left.shift() : left[0];
      const state = { mode: "forward", inForce: false, waitsFor: [], faults: [], takenBack: 0, ...said };
      return [{ leads: false }, { leads: true, dns: state }];
    },
    say: (line) => lines.push(line),
    warn: (line) => lines.push(`! ${line}`),
  };
  /** While time passes. */
  const end = async (work: Promise<number>) => {
    let code: number | undefined;
    void work.then((result) => {
      code = result;
    });
    while (code === undefined) {
      clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return code;
  };
  const asked = () => api.objects.get("/api/v1/namespaces/new/services/tulle-dns")?.metadata["annotations"];
  return { api, options, lines, stop, end, asked };
}

/** Traefik Mesh, which had the names. */
function addOriginal(api: FakeApi, parts: readonly ("controller" | "proxy" | "shadow")[]) {
  const record = JSON.stringify({ namespace: "new", domains: [], original: "old" });
  putCoreDns(api, "", { annotations: { "tulle.dev/dns-owner": record } });
  const put = (collection: string, name: string, labels: object) =>
    api.put(`/api/v1/namespaces/old/${collection}`, {
      metadata: { name, namespace: "old", labels: { app: "maesh", ...labels } },
    });
  if (parts.includes("controller")) {
    put("pods", "traefik-mesh-controller-x", {});
    put("services", "traefik-mesh-controller", {});
  }
  if (parts.includes("proxy")) put("pods", "traefik-mesh-proxy-x", { component: "maesh-mesh" });
  if (parts.includes("shadow")) put("services", "old-web-6d61657368-shop", { type: "shadow" });
}

test("it asks the mesh, says what that waits for once, and ends when the names are there", async () => {
  const waits = { owner: "old", waitsFor: ["no proxy is ready"] };
  const { api, options, lines, end, asked } = fixture(
    { owner: "old" },
    { owner: "old" },
    waits,
    waits,
    { owner: "new" },
    { owner: "new", inForce: true },
  );
  addOriginal(api, ["controller", "proxy", "shadow"]);
  expect(await end(takeOver(options, "ready"))).toBe(0);
  expect(asked()).toEqual({ "tulle.dev/dns-take-over": "ready" });
  expect(lines).toEqual([
    "it waits: no proxy is ready",
    "cluster DNS gets the new blocks",
    "the mesh names are with the mesh in namespace new now",
    "the one in namespace old serves on, for callers that still have its addresses",
    expect.stringContaining("scale its Deployment to 0 before you uninstall it"),
  ]);
});

test("asked again, it changes nothing, and says that Traefik Mesh can be uninstalled", async () => {
  const { api, options, lines, end, asked } = fixture({ owner: "new", inForce: true });
  addOriginal(api, ["proxy", "shadow"]);
  expect(await end(takeOver(options, "ready"))).toBe(0);
  expect(asked()).toBeUndefined();
  expect(lines).toEqual([
    "the mesh names are with the mesh in namespace new already",
    "Traefik Mesh in namespace old can be uninstalled: its cleanup leaves these blocks alone",
  ]);
});

test.each<[string, readonly Dns[], string]>([
  ["time", [{ owner: "old", waitsFor: ["no proxy is ready"] }], "! it has not come about in 5 s"],
  [
    "a CoreDNS that does not get ready",
    [{ owner: "old" }, { owner: "old" }, { owner: "old", faults: ["It did not get ready."] }],
    "! It did not get ready.",
  ],
  [
    "one that did not get ready before either",
    [
      { owner: "old", faults: ["It did not get ready."], takenBack: 1 },
      { owner: "old", faults: ["It did not get ready."], takenBack: 1 },
      { owner: "old", faults: ["It did not get ready."], takenBack: 2 },
    ],
    "! It did not get ready.",
  ],
])("stopped by %s, it takes back what it asked for, and ends with 1", async (_, dns, line) => {
  const { options, lines, end, asked } = fixture(...dns);
  expect(await end(takeOver(options, "force"))).toBe(1);
  expect(lines.at(-1)).toContain(line);
  expect(asked()).toEqual({});
});

test("interrupted, it takes back what it asked for", async () => {
  const { options, lines, stop, end, asked } = fixture({ owner: "old" });
  stop.abort();
  expect(await end(takeOver(options, "ready"))).toBe(1);
  expect(lines).toEqual(["! it was interrupted, and the mesh is not asked any more"]);
  expect(asked()).toEqual({});
});

test("out of time or interrupted during the change, it says that the mesh goes on with it", async () => {
  const { options, lines, stop, end } = fixture({ owner: "old" }, { owner: "old" }, { owner: "new" });
  expect(await end(takeOver(options, "ready"))).toBe(1);
  expect(lines.at(-1)).toMatch(/^! it is not done in 5 s: .*the mesh goes on with that/);
  stop.abort();
  expect(await end(takeOver(options, "ready"))).toBe(1);
  expect(lines.at(-1)).toMatch(/^! it was interrupted, and .*the mesh goes on with that/);
});

test("what a tenant labels as Traefik Mesh gets no names", async () => {
  const { api, options, lines, end } = fixture({ owner: "new", inForce: true });
  addOriginal(api, ["proxy", "shadow"]);
  for (const [collection, name, more] of [
    ["pods", "p", { component: "maesh-mesh" }],
    ["services", "s", { type: "shadow" }],
  ] as const)
    api.put(`/api/v1/namespaces/tenant/${collection}`, {
      metadata: { name, namespace: "tenant", labels: { app: "maesh", ...more } },
    });
  expect(await end(takeOver(options, "ready"))).toBe(0);
  expect(lines.join()).not.toContain("tenant");
});

test("blocks that are changed by hand are not moved", async () => {
  const { options, lines, end } = fixture({ owner: "", mode: "manual" });
  expect(await end(takeOver(options, "ready"))).toBe(1);
  expect(lines).toEqual([expect.stringContaining("dns.mode is manual")]);
});

test("the names go back to Traefik Mesh, where it still serves", async () => {
  const { api, options, lines, end, asked } = fixture(
    { owner: "new", inForce: true },
    { owner: "new", inForce: true },
    { owner: "new" },
    { owner: "old" },
  );
  addOriginal(api, ["proxy", "shadow"]);
  expect(await end(handBack(options))).toBe(0);
  expect(asked()).toEqual({ "tulle.dev/dns-hand-back": "old" });
  expect(lines.at(-1)).toBe("the mesh names are with Traefik Mesh in namespace old again");
});

test("without Traefik Mesh, or without the names, there is nothing to hand back", async () => {
  const alone = fixture({ owner: "new", inForce: true });
  expect(await alone.end(handBack(alone.options))).toBe(1);
  expect(alone.lines).toEqual(["! there is no Traefik Mesh to hand back to in this cluster"]);
  const standing = fixture({ owner: "old" });
  addOriginal(standing.api, ["proxy", "shadow"]);
  expect(await standing.end(handBack(standing.options))).toBe(1);
  expect(standing.lines).toEqual(["! the mesh names are with the mesh in namespace old, not with the one in new"]);
});
