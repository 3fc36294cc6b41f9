import { describe, expect, test } from "vitest";
import { emptyMeshConfig } from "../config/mesh-config.ts";
import {
  type ControllerSaid,
  type ControllerState,
  findingsOf,
  type MeshStatus,
  type ProxyState,
  totalsOf,
} from "./mesh-status.ts";
import { statusText } from "./status-text.ts";

const DNS = {
  mode: "forward",
  provider: "CoreDNS",
  inForce: true,
  owner: "tulle",
  ownerGone: false,
  waitsFor: [],
  faults: [],
  warnings: [],
};
const SAID: ControllerSaid = {
  program: "0.1.0",
  version: "0123456789abcdef",
  leader: "c-1",
  leads: true,
  pendingShadows: 0,
  troubles: [],
  dns: DNS,
};
const IMAGE = "registry.example.com:5000/tulle:1";

function controller(change: Partial<ControllerState> = {}, said: Partial<ControllerSaid> = {}): ControllerState {
  const about = { name: "c-1", ready: true, ending: false, waits: "", ageSeconds: 4_000, image: IMAGE, silent: "" };
  return { ...about, said: { ...SAID, ...said }, ...change };
}

/** One that said nothing of itself. */
function mute(change: Partial<ControllerState>): ControllerState {
  const { said: _, ...rest } = controller(change);
  return rest;
}

function proxy(change: Partial<ProxyState> = {}): ProxyState {
  return {
    name: "p-1",
    node: "node-1",
    ready: true,
    draining: false,
    waits: "",
    ageSeconds: 100,
    image: IMAGE,
    version: SAID.version,
    programmed: true,
    connected: true,
    lagMs: 12,
    error: "",
    closedEntrypoints: [],
    ...change,
  };
}

function mesh(controllers: ControllerState[], proxies: ProxyState[], more: Partial<MeshStatus> = {}): MeshStatus {
  return {
    where: "namespace tulle, by c-1",
    cluster: { namespace: "tulle", controllers, proxies },
    totals: totalsOf(emptyMeshConfig(), SAID.version),
    problems: [],
    ...more,
  };
}

test("a mesh in which all is as it must be has no findings", () => {
  const second = controller({ name: "c-2" }, { leads: false, dns: { ...DNS, inForce: false } });
  expect(findingsOf(mesh([controller(), second], [proxy()]))).toEqual([]);
});

describe.each<[string, MeshStatus, string, RegExp]>([
  ["no controller", mesh([], [proxy()]), "error controllers", /is Tulle installed there \(--namespace\)\?$/],
  [
    "a controller whose container does not start",
    mesh([mute({ waits: "ImagePullBackOff" })], [proxy()]),
    "error controller c-1",
    /^it does not run \(ImagePullBackOff\): kubectl -n tulle describe pod c-1$/,
  ],
  [
    "a controller that does not answer",
    mesh([mute({ silent: "connection refused" })], [proxy()]),
    "error controller c-1",
    /^it cannot be asked: connection refused$/,
  ],
  [
    "a controller that is not ready",
    mesh([controller({ ready: false })], [proxy()]),
    "error controller c-1",
    /kubectl -n tulle logs c-1$/,
  ],
  [
    "a controller that has just started",
    mesh([controller({ ready: false, ageSeconds: 5 })], [proxy()]),
    "warning controller c-1",
    /^it started 5 s ago and is not ready yet; .*kubectl -n tulle logs c-1$/,
  ],
  [
    "what a controller cannot read",
    mesh([controller({ ready: false }, { troubles: ["pods: 403 Forbidden"] })], [proxy()]),
    "error controller c-1",
    /^pods: 403 Forbidden: .*rights of its account/,
  ],
  [
    "no leader",
    mesh([controller({}, { leads: false, leader: "c-gone" })], [proxy()]),
    "error controllers",
    /kubectl -n tulle get lease tulle-controller$/,
  ],
  [
    "replicas that do not agree",
    mesh([controller(), controller({ name: "c-2" }, { leads: false, version: "other" })], [proxy()]),
    "warning controllers",
    /different configurations/,
  ],
  [
    "shadow services to be written",
    mesh([controller({}, { pendingShadows: 3 })], [proxy()]),
    "warning shadow services",
    /^3 are not written yet/,
  ],
  [
    "what is wrong with DNS",
    mesh([controller({}, { dns: { ...DNS, inForce: false, faults: ["It has no Corefile."] } })], [proxy()]),
    "error cluster DNS",
    /^It has no Corefile\.$/,
  ],
  [
    "DNS that is changed by hand, and is not",
    mesh([controller({}, { dns: { ...DNS, mode: "manual", inForce: false } })], [proxy()]),
    "error cluster DNS",
    /tulle prepare --dns-mode manual/,
  ],
  [
    "names that another mesh has",
    mesh([controller({}, { dns: { ...DNS, inForce: false, owner: "maesh" } })], [proxy()]),
    "warning cluster DNS",
    /^the mesh in namespace maesh has .* stands by: tulle migrate --take-over --namespace tulle$/,
  ],
  [
    "names of a mesh that is gone",
    mesh([controller({}, { dns: { ...DNS, inForce: false, owner: "maesh", ownerGone: true } })], [proxy()]),
    "warning cluster DNS",
    /^the mesh names were those of the mesh in namespace maesh, which is gone/,
  ],
  [
    "DNS that is not in force yet",
    mesh([controller({}, { dns: { ...DNS, inForce: false } })], [proxy()]),
    "warning cluster DNS",
    /tulle check$/,
  ],
  ["no proxy", mesh([controller()], []), "error proxies", /kubectl -n tulle describe daemonset tulle-proxy$/],
  [
    "a proxy that waits for a node",
    mesh([controller()], [proxy({ waits: "Pending", node: "" })]),
    "error proxy p-1",
    /^it does not run \(Pending\)/,
  ],
  [
    "a proxy that is not ready",
    mesh([controller()], [proxy({ ready: false })]),
    "error proxy p-1 on node-1",
    /^it is not ready/,
  ],
  [
    "a proxy that hears nobody",
    mesh([controller()], [proxy({ connected: false, programmed: false, silentSeconds: 40 })]),
    "error proxy p-1 on node-1",
    /^it hears no controller for 40 s, and serves what it had: kubectl -n tulle logs p-1$/,
  ],
  [
    "a Traefik that cannot be asked",
    mesh([controller()], [proxy({ engine: "traefik", connected: false, programmed: false })]),
    "error proxy p-1 on node-1",
    /^it does not answer on port 1081, so nobody knows what it has: kubectl -n tulle logs p-1$/,
  ],
  [
    "Traefiks of two images",
    mesh(
      [controller()],
      [proxy({ engine: "traefik", image: "traefik:v3.6" }), proxy({ engine: "traefik", image: "traefik:v3.7" })],
    ),
    "warning versions",
    /^there are traefik:v3.6 and traefik:v3.7: /,
  ],
  [
    "a proxy that refused a configuration",
    mesh([controller()], [proxy({ programmed: false, error: "no such schema" })]),
    "error proxy p-1 on node-1",
    /^it refused the configuration, and serves what it had: no such schema$/,
  ],
  [
    "a proxy that is behind",
    mesh([controller()], [proxy({ programmed: false })]),
    "warning proxy p-1 on node-1",
    /^the newest configuration is not in force yet/,
  ],
  [
    "ports that a proxy could not open",
    mesh([controller()], [proxy({ closedEntrypoints: ["0.0.0.0:10000/tcp"] })]),
    "error proxy p-1 on node-1",
    /^it could not open 0\.0\.0\.0:10000\/tcp: /,
  ],
  [
    "several versions",
    mesh([controller()], [proxy({ image: "registry.example.com:5000/tulle:2" })]),
    "warning versions",
    /tulle:1 and .*tulle:2: .*rollout status/,
  ],
  [
    "wrong objects",
    mesh([controller()], [proxy()], {
      problems: [
        { severity: "error", code: "SplitWeightsZero", object: "TrafficSplit shop/web", message: "No weight." },
      ],
    }),
    "error TrafficSplit shop/web",
    /^SplitWeightsZero: No weight\.$/,
  ],
])("%s", (_, status, what, says) => {
  test("is found once, with the object and the remedy", () => {
    const findings = findingsOf(status);
    expect(findings.map(({ severity, object }) => `${severity} ${object}`)).toEqual([what]);
    expect(findings[0]?.says).toMatch(says);
  });
});

test("a proxy that ends as it was told to is no finding, whatever it has in force", () => {
  const ending = proxy({ name: "p-0", draining: true, ready: false, connected: false, programmed: false });
  expect(findingsOf(mesh([controller()], [proxy(), ending]))).toEqual([]);
});

test("the leader may be one that cannot be asked: that it is missing is not said too", () => {
  const status = mesh(
    [mute({ name: "c-1", silent: "no answer" }), controller({ name: "c-2" }, { leads: false })],
    [proxy()],
  );
  expect(findingsOf(status).map(({ object }) => object)).toEqual(["controller c-1"]);
});

describe("totals of a configuration", () => {
  test("count each Service, endpoint address, split and TrafficTarget once", () => {
    const origin = { kind: "TrafficSplit", namespace: "shop", name: "web" };
    const route = { origin, matches: [], backends: [{ servicePort: "shop/v1:80", weight: 1 }] };
    const port = (number: number) => ({
      namespace: "shop",
      service: "web",
      port: number,
      trafficType: "http" as const,
      scheme: "http" as const,
      middlewares: {},
      routes: [route, { ...route, origin: { ...origin, kind: "HTTPRoute" } }],
      endpoints: { [`10.0.0.1:${number}`]: {}, [`[fd00::1]:${number}`]: {} },
    });
    const config = { ...emptyMeshConfig(), servicePorts: { "shop/web:80": port(80), "shop/web:81": port(81) } };
    expect(totalsOf(config, "v")).toEqual({
      services: 1,
      servicePorts: 2,
      endpoints: 2,
      splits: 1,
      targets: 0,
      accessControl: "off",
      version: "v",
    });
  });
});

test("the status of a cluster is written as tables, totals and findings", async () => {
  const status = mesh(
    [
      controller(),
      controller({ name: "c-2", image: "registry.example.com/tulle@sha256:0123456789abcdef" }, { leads: false }),
      mute({ name: "c-3", ready: false, waits: "ImagePullBackOff", image: "tulle" }),
    ],
    [
      proxy(),
      proxy({
        name: "p-2",
        node: "a-longer-node",
        ready: false,
        connected: false,
        programmed: false,
        silentSeconds: 200,
      }),
      proxy({ name: "p-3", draining: true, ready: false, programmed: false }),
      proxy({ name: "p-4", programmed: false }),
    ],
  );
  await expect(statusText(status, findingsOf(status))).toMatchFileSnapshot("testdata/status.txt");
});

test("of many findings the first are shown, and where the others are", () => {
  const problems = Array.from({ length: 30 }, (_, index) => ({
    severity: "warning" as const,
    code: "SplitWeightsZero",
    object: `TrafficSplit shop/s${index}`,
    message: "No weight.",
  }));
  const status = mesh([controller()], [proxy()], { problems });
  const text = statusText(status, findingsOf(status));
  expect(text).toContain("\n0 errors, 30 warnings:\n");
  expect(text).toMatch(/\nand 10 more: tulle check\n$/);
});

test("with Traefik as the proxy nothing is wrong about its image being another one", () => {
  expect(findingsOf(mesh([controller()], [proxy({ engine: "traefik", image: "traefik:v3.6" })]))).toEqual([]);
});
