/** Access decisions against the rule itself, written down as plainly as it can be, without anything kept or compiled. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { AccessRule, HttpMatch, MeshConfig } from "../../config/mesh-config.ts";
import { silentLog } from "../../telemetry/log.ts";
import { MeshRouteTable, newDecision } from "./route-table.ts";
import { HandClock, mesh, request, route, rule, servicePort } from "./testkit/mesh-configs.ts";
import type { ServicePortState } from "./types.ts";

interface Asked {
  readonly caller: string | undefined;
  /** Undefined: a flow. */
  readonly request: { readonly path: string; readonly method: string; readonly header: string | undefined } | undefined;
}

const AMBIGUOUS = "/a/../b";
/** The patterns that are generated, as predicates; null: fits any path and decides nothing. */
const PATTERNS: Record<string, ((path: string) => boolean) | null> = {
  ".*": null,
  "/.*": null,
  "/a": (path) => path.startsWith("/a"),
  "^/a$": (path) => path === "/a",
  "/[ab]/.*": (path) => path.startsWith("/a/") || path.startsWith("/b/"),
};

function matchFits(match: HttpMatch, asked: NonNullable<Asked["request"]>): boolean {
  const { path, methods, headers = [] } = match;
  if (methods !== undefined && !methods.some((method) => method === asked.method)) return false;
  const predicate = path === undefined ? null : PATTERNS[path.value];
  if (predicate !== null && (asked.path === AMBIGUOUS || !predicate?.(asked.path))) return false;
  return headers.every(({ value }) => asked.header?.includes(value) === true);
}

function ruleAllows(each: AccessRule, identity: string, podPort: number, type: string, asked: Asked): boolean {
  if (each.destination !== identity || asked.caller === undefined || !each.sources.includes(asked.caller)) return false;
  const section = asked.request === undefined ? (type === "udp" ? each.udp : each.tcp) : each.http;
  if (section === undefined || (section.ports !== undefined && !section.ports.includes(podPort))) return false;
  const { request: view } = asked;
  if (view === undefined || each.http === undefined || each.http.matches.length === 0) return true;
  return each.http.matches.some((match) => matchFits(match, view));
}

function reachable(config: MeshConfig, key: string, asked: Asked): string[] {
  const port = config.servicePorts[key];
  return Object.entries(port?.endpoints ?? {})
    .filter(([address, { identity }]) => {
      const podPort = Number(address.split(":")[1]);
      const rules = Object.values(config.accessRules);
      return (
        identity !== undefined &&
        rules.some((each) => ruleAllows(each, identity, podPort, port?.trafficType ?? "", asked))
      );
    })
    .map(([address]) => address)
    .sort();
}

function allowed(config: MeshConfig, key: string, asked: Asked, followRoutes: boolean): boolean {
  const port = config.servicePorts[key];
  if (port === undefined) return true;
  const [split] = followRoutes ? (port.routes ?? []) : [];
  if (split !== undefined) {
    return split.backends
      .filter(({ weight }) => weight > 0)
      .every((backend) =>
        allowed(config, backend.servicePort, asked, backend.routed === true && backend.servicePort !== key),
      );
  }
  return Object.keys(port.endpoints).length === 0 || reachable(config, key, asked).length > 0;
}

const IDENTITIES = ["n/s", "n/t"];
const CALLERS = { "127.1.0.1": "n/x", "127.1.0.2": "n/y" };
const anyMatch: fc.Arbitrary<HttpMatch> = fc
  .record({
    pattern: fc.option(fc.constantFrom(...Object.keys(PATTERNS)), { nil: undefined }),
    methods: fc.option(fc.subarray(["GET", "PUT"], { minLength: 1 }), { nil: undefined }),
    header: fc.boolean(),
  })
  .map(({ pattern, methods, header }) => ({
    ...(pattern === undefined ? {} : { path: { type: "regex" as const, value: pattern } }),
    ...(methods === undefined ? {} : { methods }),
    ...(header ? { headers: [{ name: "h", type: "regex" as const, value: "t" }] } : {}),
  }));
const anyPorts = fc.option(fc.subarray([80, 81], { minLength: 1 }), { nil: undefined });
const section = <T extends object>(ports: number[] | undefined, rest: T) =>
  ports === undefined ? rest : { ports, ...rest };
const anyRule = fc
  .record({
    destination: fc.constantFrom(...IDENTITIES),
    sources: fc.subarray(Object.values(CALLERS)),
    opens: fc.subarray(["http", "tcp", "udp"], { minLength: 1 }),
    ports: anyPorts,
    matches: fc.array(anyMatch, { maxLength: 2 }),
  })
  .map(({ destination, sources, opens, ports, matches }) => ({
    destination,
    sources,
    opens: {
      ...(opens.includes("http") ? { http: section(ports, { matches }) } : {}),
      ...(opens.includes("tcp") ? { tcp: section(ports, {}) } : {}),
      ...(opens.includes("udp") ? { udp: section(ports, {}) } : {}),
    },
  }));
const anyEndpoints = fc.dictionary(
  fc.constantFrom("127.1.1.1:80", "127.1.1.2:80", "127.1.1.2:81"),
  fc.constantFrom(...IDENTITIES, undefined),
);
const anyBackends = fc.array(
  fc.record({
    servicePort: fc.constantFrom("n/root:80", "n/mid:80", "n/leaf:80", "n/gone:80"),
    weight: fc.nat(2),
    routed: fc.boolean(),
  }),
  { maxLength: 3 },
);
const asBackend = ({ servicePort: key, weight, routed }: { servicePort: string; weight: number; routed: boolean }) =>
  routed ? { servicePort: key, weight, routed: true as const } : { servicePort: key, weight };

const anyMesh = fc
  .record({
    endpoints: fc.tuple(anyEndpoints, anyEndpoints, anyEndpoints),
    rootBackends: anyBackends,
    midBackends: anyBackends,
    rules: fc.array(anyRule, { maxLength: 5 }),
    trafficType: fc.constantFrom("http" as const, "tcp" as const, "udp" as const),
    mode: fc.constantFrom("on" as const, "audit" as const),
  })
  .map(({ endpoints: [root, mid, leaf], rootBackends, midBackends, rules, trafficType, mode }) => {
    const routes = (name: string, backends: typeof rootBackends) =>
      backends.length === 0 ? {} : { routes: [route(name, backends.map(asBackend))] };
    // Towards the leaf only: the compiler lets no cycle through.
    const below = midBackends.filter(({ servicePort: key }) => key !== "n/root:80");
    const made = rules.map(({ destination, sources, opens }, index) => rule(`r${index}`, destination, sources, opens));
    return mesh(
      mode,
      {
        "n/root:80": servicePort(root, { trafficType, ...routes("root", rootBackends) }),
        "n/mid:80": servicePort(mid, { trafficType, ...routes("mid", below) }),
        "n/leaf:80": servicePort(leaf, { trafficType }),
      },
      made,
      CALLERS,
    );
  });
const anyRequest = fc.record({
  path: fc.constantFrom("/", "/a", "/ab", "/b/c", "/a/c", AMBIGUOUS),
  method: fc.constantFrom("GET", "PUT", "POST"),
  header: fc.constantFrom("true", "false!", "no", undefined),
});

test("the table decides access as the rule says", () => {
  const anyAddress = fc.constantFrom(...Object.keys(CALLERS), "127.9.9.9");
  fc.assert(
    fc.property(
      anyMesh,
      fc.array(fc.tuple(anyAddress, anyRequest), { minLength: 1, maxLength: 4 }),
      (config, calls) => {
        const table = new MeshRouteTable({ clock: new HandClock(), random: () => 0.5, log: silentLog });
        table.apply(config);
        const decision = newDecision();
        for (const [address, { path, method, header }] of calls) {
          const caller = table.caller(address);
          const isHttp = config.servicePorts["n/root:80"]?.trafficType === "http";
          const asked: Asked = { caller: caller.identity, request: isHttp ? { path, method, header } : undefined };
          for (const key of Object.keys(config.servicePorts)) {
            const entry = table.servicePort(key) as ServicePortState;
            const view = request(path, method, header === undefined ? {} : { h: header });
            if (isHttp) table.routeHttp(entry, caller, view, decision);
            else table.routeFlow(entry, caller, decision);
            const denied = decision.failure === "AccessDenied" || decision.failure === "AmbiguousPath";
            const fine = allowed(config, key, asked, true);
            if (config.accessControl === "on") expect(denied).toBe(!fine);
            else expect([denied, decision.wouldDeny]).toEqual([false, !fine]);
            if (decision.failure === "AmbiguousPath") expect(path).toBe(AMBIGUOUS);
            if (decision.failure !== "") continue;
            const last = decision.path.at(-1)?.key as string;
            const all = Object.keys(config.servicePorts[last]?.endpoints ?? {}).sort();
            const expected = config.accessControl === "on" ? reachable(config, last, asked) : all;
            expect(decision.endpoints.map(({ key: name }) => name).sort()).toEqual(expected);
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});
