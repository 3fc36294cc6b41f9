/**
 * Which folder of src/ may import what: the table of ARCHITECTURE.md. A folder that is not in it may not exist, so a new
 * room is a decision. Type-only imports count like any other: a type from a room is knowledge of that room.
 */
import { builtinModules } from "node:module";
import { COMPUTED, importsOf, resolve, type Sources } from "./import-graph.ts";

interface Room {
  /** Rooms it may import besides itself; `*` is any but `cli`. */
  readonly rooms: readonly string[];
  /** Modules of node without `node:`; `*` is any. */
  readonly node?: readonly string[];
  readonly packages?: readonly string[];
  /** What its tests may import besides. */
  readonly tests?: readonly string[];
}

/** Every room of proxy/ may import these besides. */
export const PROXY_COMMON = ["config", "model", "telemetry"];
/** A proxy opens sockets; it reads no file, starts no process and asks no resolver. */
const PROXY_NODE = ["net", "tls", "dgram", "http", "events"];
const MIDDLEWARE = "proxy/middleware/*";
/** From an objects' file to the end of the room under test: golden cases are written as manifests. */
const GOLDEN = ["manifests", "topology", "compiler"];

export const ROOMS: Readonly<Record<string, Room>> = {
  model: { rooms: [], packages: ["zod"] },
  telemetry: { rooms: [], node: ["fs", "perf_hooks"] },
  config: { rooms: ["model"], node: ["crypto"], packages: ["zod"] },
  manifests: { rooms: ["model", "telemetry"], node: ["*"], packages: ["yaml", "zod"] },
  lines: { rooms: [] },
  traffic: { rooms: ["model"], packages: ["zod"] },
  tap: { rooms: ["model"], packages: ["re2js"] },
  dashboard: { rooms: ["admin"], node: ["fs", "path"] },
  admin: { rooms: [], node: ["events", "http", "net", "stream"] },
  kube: { rooms: ["model", "telemetry", "lines"], node: ["*"], packages: ["@kubernetes/client-node"] },
  topology: { rooms: ["model"], tests: GOLDEN },
  "topology-view": { rooms: ["admin", "topology", "config", "model"], tests: GOLDEN },
  compiler: { rooms: ["topology", "config", "model"], packages: ["re2js"], tests: GOLDEN },
  traefik: { rooms: ["admin", "config", "model"], tests: GOLDEN },
  coredns: { rooms: ["model"] },
  migrate: { rooms: ["topology", "compiler", "model"], tests: ["manifests"] },
  "shared-ports": { rooms: [], node: ["dgram"] },
  dns: {
    rooms: ["config", "model", "telemetry", "shared-ports"],
    node: ["events", "net", "dgram"],
    packages: ["dns-packet"],
  },

  [MIDDLEWARE]: { rooms: PROXY_COMMON },
  "proxy/balancer": { rooms: PROXY_COMMON },
  "proxy/http1": { rooms: PROXY_COMMON },
  "proxy/http2": { rooms: ["proxy/http1", ...PROXY_COMMON], node: ["net"] },
  "proxy/router": { rooms: [MIDDLEWARE, "proxy/balancer", ...PROXY_COMMON], packages: ["re2js"] },
  "proxy/tracing": { rooms: ["proxy/router", ...PROXY_COMMON] },
  "proxy/socket": { rooms: [], node: ["net", "util"] },
  "proxy/upstream": {
    rooms: ["proxy/socket", "proxy/http1", "proxy/http2", "proxy/router", ...PROXY_COMMON],
    node: PROXY_NODE,
  },
  "proxy/exchange": {
    rooms: [
      "proxy/socket",
      "proxy/http1",
      "proxy/http2",
      "proxy/router",
      MIDDLEWARE,
      "proxy/upstream",
      "proxy/tracing",
      ...PROXY_COMMON,
    ],
    node: PROXY_NODE,
  },
  "proxy/flow": { rooms: ["proxy/router", ...PROXY_COMMON] },
  "proxy/tcp": {
    rooms: ["proxy/socket", "proxy/flow", "proxy/router", MIDDLEWARE, "proxy/upstream", ...PROXY_COMMON],
    node: PROXY_NODE,
  },
  "proxy/udp": { rooms: ["proxy/flow", "proxy/router", "shared-ports", ...PROXY_COMMON], node: PROXY_NODE },
  "proxy/traffic": { rooms: ["traffic", "proxy/exchange", "proxy/flow", "proxy/router", MIDDLEWARE, ...PROXY_COMMON] },
  "proxy/entrypoint": {
    rooms: [
      "proxy/socket",
      "proxy/exchange",
      "proxy/flow",
      "proxy/tcp",
      "proxy/udp",
      "proxy/router",
      "proxy/traffic",
      "proxy/tracing",
      "shared-ports",
      ...PROXY_COMMON,
    ],
    node: PROXY_NODE,
  },

  "proxy/access-log": {
    rooms: ["proxy/exchange", "proxy/flow", "proxy/router", ...PROXY_COMMON],
    // Of all rooms of the proxy this one writes a file.
    node: ["fs"],
  },

  "proxy/tap": {
    rooms: ["tap", "proxy/access-log", "proxy/exchange", "proxy/router", ...PROXY_COMMON],
    packages: ["re2js"],
  },

  "trace-export": {
    rooms: ["proxy/tracing", "model", "telemetry"],
    node: ["events", "net", "http", "https"],
    packages: ["@opentelemetry/api", "@opentelemetry/otlp-transformer", "@opentelemetry/resources", "@grpc/grpc-js"],
  },
  explain: { rooms: ["admin", "config", "model", "proxy/router", "telemetry"] },
  "config-stream": {
    rooms: ["config", "model", "telemetry", "lines"],
    node: ["events", "tls", "net"],
    packages: ["zod"],
  },
  "smi-metrics": { rooms: ["traffic", "model", "telemetry"], node: ["crypto", "events", "https", "net", "tls"] },
  controller: {
    rooms: [
      "kube",
      "smi-metrics",
      "topology",
      "topology-view",
      "compiler",
      "config",
      "config-stream",
      "coredns",
      "dns",
      "traefik",
      "admin",
      "traffic",
      "tap",
      "dashboard",
      "explain",
      "model",
      "telemetry",
    ],
    node: ["crypto"],
    packages: ["zod"],
  },
  "proxy-daemon": {
    rooms: [
      "proxy/entrypoint",
      "proxy/traffic",
      "traffic",
      "proxy/access-log",
      "proxy/tap",
      "tap",
      "dns",
      "config",
      "config-stream",
      "admin",
      "lines",
      "model",
      "telemetry",
    ],
    node: ["events", "fs", "fs/promises", "cluster", "net"],
    packages: ["zod"],
  },

  local: { rooms: ["*"], node: ["*"], packages: ["zod"] },
  cli: { rooms: ["*"], node: ["*"], packages: ["commander", "yaml", "zod"] },
};

/** No test of the proxy meets these either: what it needs it says as MeshConfig. */
const NEVER_IN_PROXY = ["kube", "manifests", "topology", "compiler", "controller", "local", "cli"];
/** What tests in general may import. */
const TEST_PACKAGES = [
  "vitest",
  "fast-check",
  "dns-packet",
  "re2js",
  "yaml",
  "zod",
  "@grpc/grpc-js",
  "@grpc/proto-loader",
];
/** Nothing of node may be reached from these by imports that are left at run time. */
const PURE = ["model", "topology", "compiler", "traefik", "coredns", "migrate"];

const isTest = (path: string) => path.endsWith(".test.ts") || /\/(testkit|corpus)\//.test(path);

/** `proxy/middleware/retry/retry.ts` → `proxy/middleware/retry`; undefined where the folder is no room. */
function roomOf(path: string): string | undefined {
  const folders = path.split("/").slice(0, -1);
  for (let length = folders.length; length > 0; length--) {
    const room = folders.slice(0, length).join("/");
    if (room in ROOMS) return room;
    if (length === 3 && room.startsWith("proxy/middleware/")) return room;
    if (length === 2 && room.startsWith("proxy/")) return undefined;
  }
  return undefined;
}

const ruleOf = (room: string): Room => ROOMS[room.startsWith("proxy/middleware/") ? MIDDLEWARE : room] as Room;

function allows(patterns: readonly string[], name: string): boolean {
  return patterns.some(
    (pattern) =>
      pattern === name || pattern === "*" || (pattern.endsWith("/*") && name.startsWith(pattern.slice(0, -1))),
  );
}

const nodeModule = (specifier: string): string | undefined => {
  const name = specifier.replace(/^node:/, "");
  return specifier.startsWith("node:") || builtinModules.includes(name) ? name : undefined;
};

/** Why this import may not be, or undefined. */
function objection(path: string, specifier: string): string | undefined {
  const room = roomOf(path);
  if (room === undefined) return "is in a folder that is no room; give it a line in ROOMS and in ARCHITECTURE.md";
  if (specifier === COMPUTED) return "imports a computed name; write a string literal";
  if (specifier.startsWith(".")) return objectionToRoom(path, room, specifier);
  const { node = [], packages = [] } = ruleOf(room);
  const builtin = nodeModule(specifier);
  if (builtin !== undefined)
    return isTest(path) || allows(node, builtin) ? undefined : `imports ${specifier}; ${room} may not`;
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  const listed = isTest(path) ? [...packages, ...TEST_PACKAGES] : packages;
  return listed.includes(name) ? undefined : `imports the package ${name}; ${room} may not`;
}

function objectionToRoom(path: string, room: string, specifier: string): string | undefined {
  const target = resolve(path, specifier);
  if (target === undefined) return `imports ${specifier}, which is outside src/`;
  const other = roomOf(target);
  if (other === undefined) return `imports ${target}, which is in no room`;
  const bad = `imports ${target}; ${room} may not know ${other}`;
  if (room.startsWith("proxy") && NEVER_IN_PROXY.includes(other)) return bad;
  if (isTest(path)) {
    const near = room.startsWith("proxy") && other.startsWith("proxy");
    return near ||
      other === room ||
      allows([...ruleOf(room).rooms, ...(ruleOf(room).tests ?? []), "model", "config", "telemetry"], other)
      ? undefined
      : bad;
  }
  if (isTest(target)) return `imports ${target}, which is for tests`;
  if (other === "cli" && room !== "cli") return bad;
  return other === room || allows(ruleOf(room).rooms, other) ? undefined : bad;
}

/** One sentence for each import that may not be. */
export function violations(sources: Sources): string[] {
  const found: string[] = [];
  for (const [path, text] of sources) {
    if (roomOf(path) === undefined) found.push(`${path} ${objection(path, ".")}`);
    for (const { specifier } of importsOf(text)) {
      const why = objection(path, specifier);
      if (why !== undefined) found.push(`${path} ${why}`);
    }
  }
  return [...new Set([...found, ...impurities(sources)])];
}

/** Chains of run-time imports that lead from a pure room to a module of node. */
function impurities(sources: Sources): string[] {
  const found: string[] = [];
  const reached = new Set<string>();
  const walk = (path: string, chain: readonly string[]): void => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const { specifier, typeOnly } of importsOf(sources.get(path) ?? "")) {
      if (typeOnly) continue;
      if (nodeModule(specifier) !== undefined)
        found.push(`${[...chain, path].join(" → ")} reaches ${specifier}; ${PURE.join(", ")} are pure`);
      const target = specifier.startsWith(".") ? resolve(path, specifier) : undefined;
      if (target !== undefined) walk(target, [...chain, path]);
    }
  };
  for (const path of sources.keys()) if (!isTest(path) && PURE.includes(roomOf(path) ?? "")) walk(path, []);
  return found;
}

/** Rooms that import each other in a circle, as `a → b → a`. */
export function cycles(sources: Sources): string[] {
  const edges = new Map<string, Set<string>>();
  for (const [path, text] of sources) {
    const room = roomOf(path);
    if (room === undefined || isTest(path)) continue;
    for (const { specifier } of importsOf(text)) {
      const target = specifier.startsWith(".") ? resolve(path, specifier) : undefined;
      const other = target === undefined ? undefined : roomOf(target);
      if (other === undefined || other === room) continue;
      edges.set(room, (edges.get(room) ?? new Set()).add(other));
    }
  }
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (room: string, chain: readonly string[]): void => {
    if (chain.includes(room)) found.push([...chain.slice(chain.indexOf(room)), room].join(" → "));
    if (chain.includes(room) || done.has(room)) return;
    for (const other of edges.get(room) ?? []) visit(other, [...chain, room]);
    done.add(room);
  };
  for (const room of edges.keys()) visit(room, []);
  return found;
}
