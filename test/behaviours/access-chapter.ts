/** Behaviours with access control on: `friend` may, `stranger` may not, but for what a Service is there to show. */
import { client, EVERYTHING, ROUTES, server, service, split, TCP, target, UDP } from "../sample-manifests.ts";
import type { Behaviour, Chapter } from "./behaviour.ts";
import { type Calls, GRPC } from "./engine.ts";

const API = "rules: [{kind: HTTPRouteGroup, name: api}]";
const TCP_RULE = "rules: [{kind: TCPRoute, name: tcp}]";
const LIMIT = 'mesh.traefik.io/ratelimit-average: "1", mesh.traefik.io/ratelimit-burst: "3"';

const GROUPS = `
apiVersion: specs.smi-spec.io/v1alpha3
kind: HTTPRouteGroup
metadata: {name: token, namespace: t}
spec: {matches: [{name: token, headers: [{Authorization: "t|True"}]}]}
---
apiVersion: specs.smi-spec.io/v1alpha3
kind: HTTPRouteGroup
metadata: {name: odd, namespace: t}
spec:
  matches:
    - {name: path, pathRegex: '/q\`[)] \\|\\| "é'}
    - {name: header, headers: [{X-Odd: '^"{{ \`x\` }}\\\\"$'}]}
---
apiVersion: specs.smi-spec.io/v1alpha3
kind: HTTPRouteGroup
metadata: {name: beta, namespace: t}
spec: {matches: [{name: beta, headers: [{X-Beta: ".*"}]}]}
---
apiVersion: specs.smi-spec.io/v1alpha3
kind: HTTPRouteGroup
metadata: {name: oldname, namespace: t}
spec: {matches: [{name: oldname, pathRegex: /moved, headers: [{Host: "[.]maesh$"}]}]}
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: TCPRoute
metadata: {name: elsewhere, namespace: t}
spec: {matches: {name: m, ports: [9999]}}
---
`;

/** A Pod behind Service `mixed`, which has Pods of several ServiceAccounts. */
const mixedPod = (name: string) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: t, labels: {app: mixed}}
spec: {serviceAccountName: ${name}, containers: [{name: c, image: traefik/whoami, env: [{name: WHOAMI_NAME, value: ${name}}]}]}
---
`;

const manifests = (): string =>
  [
    ROUTES,
    GROUPS,
    client("friend"),
    client("stranger"),
    client("both"),
    server("open"),
    target("open", "open", "friend", EVERYTHING),
    server("bare"),
    target("bare", "bare", "friend", ""),
    server("paths"),
    target("paths", "paths", "friend", API),
    server("headers"),
    target("headers", "headers", "friend", "rules: [{kind: HTTPRouteGroup, name: token}]"),
    server("odd"),
    target("odd", "odd", "friend", "rules: [{kind: HTTPRouteGroup, name: odd}]"),
    server("added"),
    target("added-a", "added", "friend", API),
    target("added-b", "added", "stranger", EVERYTHING),
    target("added-c", "added", "friend", "rules: [{kind: HTTPRouteGroup, name: token}]"),
    server("limited", { annotations: LIMIT }),
    target("limited", "limited", "friend", API),
    service("empty"),
    server("v1"),
    server("v2"),
    target("v1", "v1", "friend", EVERYTHING),
    target("v1-both", "v1", "both", EVERYTHING),
    target("v2", "v2", "friend", EVERYTHING),
    service("root"),
    split("root", { v1: 1, v2: 1 }),
    server("canary"),
    split("canary", { v2: 1 }, "matches: [{kind: HTTPRouteGroup, name: beta}]"),
    target("canary", "canary", "both", EVERYTHING),
    server("moved"),
    split("moved", { v2: 1 }, "matches: [{kind: HTTPRouteGroup, name: oldname}]"),
    target("moved", "moved", "both", EVERYTHING),
    server("tcp", TCP),
    target("tcp", "tcp", "friend", TCP_RULE),
    server("tcpport", TCP),
    target("tcpport", "tcpport", "friend", "rules: [{kind: TCPRoute, name: elsewhere}]"),
    server("tcpb", TCP),
    target("tcpb", "tcpb", "friend", TCP_RULE),
    target("tcpb-both", "tcpb", "both", TCP_RULE),
    service("tcproot", TCP),
    split("tcproot", { tcp: 1, tcpb: 1 }),
    server("tcponly"),
    target("tcponly", "tcponly", "friend", TCP_RULE),
    service("mixed"),
    mixedPod("mixeda"),
    mixedPod("mixedb"),
    target("mixeda", "mixeda", "friend", EVERYTHING),
    target("mixeda-both", "mixeda", "both", EVERYTHING),
    target("mixedb-both", "mixedb", "both", EVERYTHING),
    server("udp", UDP),
    target("udp", "udp", "friend", "rules: [{kind: UDPRoute, name: udp}]"),
  ].join("");

/** Each caller's outcomes, in turn. */
async function by(callers: readonly string[], outcome: (from: string) => Promise<string>): Promise<string> {
  const found: string[] = [];
  for (const from of callers) found.push(`${from} ${await outcome(from)}`);
  return found.join(", ");
}

const statuses = async (calls: Calls, service: string, each: readonly Parameters<Calls["http"]>[1][]) => {
  const found: number[] = [];
  for (const call of each) found.push(await calls.status(service, { from: "friend", ...call }));
  return found.join(", ");
};

const behaviours: readonly Behaviour[] = [
  {
    title: "a TrafficTarget lets its source in, and nobody else",
    run: async (calls) =>
      `${await by(["friend", "stranger"], (from) => calls.outcome("open", { from }))}, nobody ${await calls.outcome("open")}`,
    outcome: "friend 200 open, stranger 403, nobody 403",
  },
  {
    title: "headers of a caller make nobody of it",
    run: async (calls) => {
      const friend = calls.engine.pod("friend");
      const headers = { "X-Forwarded-For": friend, "X-Real-Ip": friend, Forwarded: `for=${friend}` };
      return `${await calls.status("open", { from: "stranger", headers })}, by a split ${await calls.status("root", { from: "stranger", headers })}`;
    },
    outcome: "403, by a split 403",
  },
  {
    title: "a target of v1alpha2 without rules opens all of HTTP",
    run: (calls) => by(["friend", "stranger"], (from) => calls.outcome("bare", { from })),
    outcome: "friend 200 bare, stranger 403",
  },
  {
    title: "a Service without endpoints",
    run: (calls) => by(["friend", "stranger"], (from) => calls.outcome("empty", { from })),
    outcome: "friend 503, stranger 503",
  },
  {
    title: "pathRegex /api: /api, /api/x and /apix are open, / and /x/api are not",
    run: (calls) =>
      statuses(
        calls,
        "paths",
        ["/api", "/api/x", "/apix", "/", "/x/api"].map((path) => ({ path })),
      ),
    outcome: "200, 200, 200, 403, 403",
  },
  {
    title: "methods [GET]: GET is open, POST is not",
    run: (calls) =>
      statuses(
        calls,
        "paths",
        ["GET", "POST"].map((method) => ({ method, path: "/api" })),
      ),
    outcome: "200, 403",
  },
  {
    title: "paths that servers read in different ways: /api/../x, /api%2f..%2fx, /api//x",
    run: (calls) =>
      statuses(
        calls,
        "paths",
        ["/api/../x", "/api%2f..%2fx", "/api//x"].map((path) => ({ path })),
      ),
    outcome: { Tulle: "403, 403, 403", Traefik: "403, 400, 200" },
  },
  {
    title: "a header's expression is searched in its value",
    run: (calls) =>
      statuses(
        calls,
        "headers",
        ["true", "It", "false"].map((Authorization) => ({ headers: { Authorization } })),
      ),
    outcome: "200, 200, 403",
  },
  {
    title:
      "of a header in several lines, each must fit: two that do, and one that does not before and after one that does",
    run: (calls) =>
      statuses(
        calls,
        "headers",
        [
          ["true", "It"],
          ["false", "true"],
          ["true", "false"],
        ].map((Authorization) => ({ headers: { Authorization } })),
      ),
    outcome: { Tulle: "200, 403, 403", Traefik: "200, 200, 200" },
  },
  {
    title: "quotes, backticks, braces and parentheses in patterns mean themselves",
    run: (calls) =>
      statuses(calls, "odd", [
        { path: "/q%60)%20%7C%7C%20%22%C3%A9" },
        { headers: { "X-Odd": '"{{ `x` }}\\"' } },
        { path: "/" },
        { path: "/q%60)" },
      ]),
    outcome: "200, 200, 403, 403",
  },
  {
    title: "targets add up: by path, by header, and for another source",
    run: async (calls) => {
      const friend = await statuses(calls, "added", [{ path: "/api" }, { headers: { Authorization: "t" } }, {}]);
      return `${friend}; stranger ${await calls.status("added", { from: "stranger" })}`;
    },
    outcome: "200, 200, 403; stranger 200",
  },
  {
    title: "what is refused costs nothing of a rate limit",
    run: async (calls) => {
      const refused = await calls.shares(10, () => calls.outcome("limited", { from: "friend", method: "POST" }));
      const let3 = await calls.shares(3, () => calls.outcome("limited", { from: "friend", path: "/api" }));
      return `${refused}; ${let3}`;
    },
    outcome: "10 × 403; 3 × 200",
  },
  {
    title: "a split lets in who may call all of its backends",
    run: (calls) => calls.shares(4, () => calls.outcome("root", { from: "friend" })),
    outcome: "2 × 200 v1, 2 × 200 v2",
  },
  {
    title: "who may call one of its backends only gets none",
    run: async (calls) =>
      `${await calls.shares(4, () => calls.outcome("root", { from: "both" }))}, itself ${await calls.outcome("v1", { from: "both" })}`,
    outcome: "4 × 403, itself 200 v1",
  },
  {
    title: "what a split takes and denies does not come to the Service itself",
    run: async (calls) => {
      const headers = { "X-Beta": "1" };
      return `${await calls.outcome("canary", { from: "both", headers })}, without it ${await calls.outcome("canary", { from: "both" })}`;
    },
    outcome: "403, without it 200 canary",
  },
  {
    title: "a split that matches by Host: what it takes and denies, what it does not take, and another path",
    run: async (calls) => {
      const headers = { Host: "moved.t.maesh" };
      const taken = await calls.outcome("moved", { from: "both", path: "/moved", headers });
      const left = await calls.outcome("moved", { from: "both", path: "/moved" });
      return `${taken}, ${left}, ${await calls.outcome("moved", { from: "both", headers })}`;
    },
    outcome: { Tulle: "403, 200 moved, 200 moved", Traefik: "403, 403, 200 moved" },
  },
  {
    title: "Pods of two ServiceAccounts behind a Service: who may reach one of them reaches that one alone",
    run: async (calls) => {
      const friend = await calls.shares(4, () => calls.outcome("mixed", { from: "friend" }));
      return `friend ${friend}; both ${await calls.shares(4, () => calls.outcome("mixed", { from: "both" }))}`;
    },
    outcome: {
      Tulle: "friend 4 × 200 mixeda; both 2 × 200 mixeda, 2 × 200 mixedb",
      Traefik: "friend 4 × 200 mixeda; both 4 × 200 mixeda",
    },
  },
  {
    title: "TCP by source",
    run: async (calls) => `${await by(["friend", "stranger"], (from) => calls.tcp("tcp", 8080, from))}`,
    outcome: "friend tcp, stranger nobody",
  },
  {
    title: "TCP by port: a TCPRoute of another port opens nothing",
    run: (calls) => calls.tcp("tcpport", 8080, "friend"),
    outcome: "nobody",
  },
  {
    title: "a split of TCP lets in who may call all of its backends",
    run: async (calls) => {
      const friend = await calls.shares(4, () => calls.tcp("tcproot", 8080, "friend"));
      return `friend ${friend}; both ${await calls.shares(4, () => calls.tcp("tcproot", 8080, "both"))}`;
    },
    outcome: "friend 2 × tcp, 2 × tcpb; both 4 × nobody",
  },
  {
    title: "a TCPRoute opens no HTTP",
    run: (calls) => calls.outcome("tcponly", { from: "friend" }),
    outcome: "403",
  },
  {
    title: "UDP by source",
    run: async (calls) => {
      // Silence lasts until later calls have been answered.
      const later = (async () => {
        for (let call = 0; call < 30; call++) await calls.http("open", { from: "friend" });
      })();
      return by(["friend", "stranger"], (from) => calls.udp("udp", 8080, from, later));
    },
    outcome: { Tulle: "friend udp, stranger nobody", Traefik: "friend nobody, stranger nobody" },
  },
  {
    title: "a gRPC call that is denied",
    run: async (calls) => {
      const { headers } = await calls.http2("open", "stranger", GRPC);
      const code = headers["grpc-status"];
      return `${headers[":status"]}${code === undefined ? "" : `, grpc-status ${code}`}`;
    },
    outcome: { Tulle: "200, grpc-status 7", Traefik: "403" },
  },
];

export const ACCESS: Chapter = { title: "With access control", accessControl: "on", manifests, behaviours };
