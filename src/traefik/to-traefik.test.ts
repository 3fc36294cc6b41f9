import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type AccessMode,
  type AccessRule,
  type Backend,
  emptyMeshConfig,
  type MeshConfig,
  type ServicePort,
} from "../config/mesh-config.ts";
import { type Translated, toTraefik } from "./to-traefik.ts";
import { traefikText } from "./traefik-configuration.ts";

/** Of namespace `n`, on port 80 of TCP. @param backends absent: it is not split */
function servicePort(service: string, backends?: readonly Backend[]): ServicePort {
  return {
    namespace: "n",
    service,
    port: 80,
    trafficType: "tcp",
    scheme: "http",
    middlewares: {},
    endpoints: { "10.0.0.1:80": { identity: "n/server" } },
    ...(backends === undefined
      ? {}
      : {
          routes: [
            { origin: { kind: "TrafficSplit", namespace: "n", name: service }, matches: [], backends: [...backends] },
          ],
        }),
  };
}

const OPEN: AccessRule = {
  origin: { kind: "TrafficTarget", namespace: "n", name: "open" },
  destination: "n/server",
  sources: ["n/client"],
  http: { matches: [] },
  tcp: {},
};

function translate(servicePorts: MeshConfig["servicePorts"], accessControl: AccessMode = "off"): Translated {
  return toTraefik({
    config: {
      ...emptyMeshConfig(),
      meshDomains: ["mesh"],
      servicePorts,
      accessControl,
      accessRules: { "n/open": OPEN },
      workloads: { "10.0.0.9": { namespace: "n", pod: "client", serviceAccount: "client" } },
    },
    service: () => undefined,
    numbers: () => 10_000,
  });
}

test("whatever weights there are, every number in the text is one that Traefik can count with", () => {
  const anyWeights = fc.array(fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }), { maxLength: 4 });
  fc.assert(
    fc.property(anyWeights, (weights) => {
      const backends = weights.map((weight, index) => ({ servicePort: `n/v${index % 3}:80`, weight }));
      const { configuration } = translate({
        "n/root:80": servicePort("root", backends),
        "n/v0:80": servicePort("v0"),
        "n/v1:80": servicePort("v1"),
        "n/v2:80": servicePort("v2"),
      });
      JSON.parse(traefikText(configuration), (_, value) => {
        if (typeof value === "number") expect(value).toSatisfy(Number.isSafeInteger);
        return value;
      });
    }),
  );
});

/** What reads more than `limit` entries of it is ended. */
function counted<T extends object>(entries: T, limit: number): T {
  let reads = 0;
  return new Proxy(entries, {
    get(target, key) {
      if (++reads > limit) throw new Error(`more than ${limit} reads`);
      return Reflect.get(target, key) as unknown;
    },
  });
}

/** Levels of Services, each of which is split over all those of the next level. */
function lattice(levels: number, width: number): Record<string, ServicePort> {
  const ports: Record<string, ServicePort> = {};
  for (let level = 0; level < levels; level++)
    for (let index = 0; index < width; index++) {
      const isLast = level === levels - 1;
      const backends = Array.from({ length: width }, (_, next) => ({
        servicePort: `n/s${level + 1}-${next}:80`,
        weight: 1,
        ...(level < levels - 2 ? { routed: true as const } : {}),
      }));
      ports[`n/s${level}-${index}:80`] = servicePort(`s${level}-${index}`, isLast ? undefined : backends);
    }
  return ports;
}

test.each(["on", "off"] as const)(
  "splits of splits that meet again are gone through once, not by every way to them (access control %s)",
  (accessControl) => {
    const ports = lattice(8, 8);
    // Of UDP nobody is let in under access control.
    for (const trafficType of accessControl === "on" ? (["http", "tcp"] as const) : (["http", "tcp", "udp"] as const)) {
      const servicePorts = Object.fromEntries(
        Object.entries(ports).map(([key, each]) => [key, { ...each, trafficType }]),
      );
      const { configuration, problems } = translate(counted(servicePorts, 5_000), accessControl);
      expect(problems).toEqual([]);
      const { services } = (trafficType === "http" ? configuration.http : configuration[trafficType]) ?? {};
      expect(services).toHaveProperty(["n-s0-0-s0-0-80-traffic-split"]);
    }
  },
);

test("how deep a split leads does not hang on where one begins to look", () => {
  const chain = (name: (index: number) => string) =>
    Object.fromEntries(
      Array.from({ length: 30 }, (_, index) => {
        const next = {
          servicePort: `n/${name(index + 1)}:80`,
          weight: 1,
          ...(index < 28 ? { routed: true as const } : {}),
        };
        return [`n/${name(index)}:80`, servicePort(name(index), index === 29 ? undefined : [next])];
      }),
    );
  const tooDeep = (name: (index: number) => string) =>
    translate(chain(name))
      .problems.map(({ code, object }) => `${code} ${object.name}`)
      .sort();
  const far = Array.from({ length: 14 }, (_, index) => index);
  const down = (index: number) => `s${String(index).padStart(2, "0")}`;
  const up = (index: number) => `s${String(99 - index).padStart(2, "0")}`;
  expect(tooDeep(down)).toEqual(far.map((index) => `TraefikRouteUnsupported ${down(index)}`).sort());
  expect(tooDeep(up)).toEqual(far.map((index) => `TraefikRouteUnsupported ${up(index)}`).sort());
});

test("a split that leads to more Services than rules have room for is refused", () => {
  const names = Array.from({ length: 129 }, (_, index) => `v${index}`);
  const backends = names.map((name) => ({ servicePort: `n/${name}:80`, weight: 1 }));
  const ports = Object.fromEntries(names.map((name) => [`n/${name}:80`, servicePort(name)]));
  const problemsOf = (split: readonly Backend[]) =>
    translate({ ...ports, "n/root:80": servicePort("root", split) }).problems.map(({ code, message }) => [
      code,
      message,
    ]);
  expect(problemsOf(backends.slice(1))).toEqual([]);
  expect(problemsOf(backends)).toEqual([
    ["TraefikRouteUnsupported", expect.stringMatching(/^it leads to more than 128 Services: /)],
  ]);
});

test("two ways to one split make no more cases than it has itself", () => {
  const matched = servicePort("m", [{ servicePort: "n/v:80", weight: 1 }]);
  const [route] = matched.routes ?? [];
  const own: ServicePort["routes"] = [
    {
      origin: { kind: "Service", namespace: "n", name: "m" },
      matches: [],
      backends: [{ servicePort: "n/m:80", weight: 1 }],
    },
  ];
  const through = [{ servicePort: "n/m:80", weight: 1, routed: true as const }];
  const http = { trafficType: "http" } as const;
  const { configuration } = translate({
    "n/v:80": { ...servicePort("v"), ...http },
    "n/m:80": {
      ...matched,
      ...http,
      routes: [{ ...(route as NonNullable<typeof route>), matches: [{ methods: ["GET"] }] }, ...own],
    },
    "n/a:80": { ...servicePort("a", through), ...http },
    "n/b:80": { ...servicePort("b", through), ...http },
    "n/root:80": {
      ...servicePort(
        "root",
        ["a", "b"].map((name) => ({ servicePort: `n/${name}:80`, weight: 1, routed: true as const })),
      ),
      ...http,
    },
  });
  const routers = Object.keys(configuration.http.routers).filter((name) => name.startsWith("n-root-"));
  expect(routers).toEqual([
    "n-root-80",
    "n-root-root-80-traffic-split-direct",
    "n-root-root-80-traffic-split-direct-2",
  ]);
});
