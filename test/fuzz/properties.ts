/** What holds of topology and compiler whatever the objects are. */
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect } from "vitest";
import { patchOf } from "../../src/config/changes.ts";
import { applyPatch } from "../../src/config/delta.ts";
import { type AccessMode, type MeshConfig, MeshConfigSchema, type TrafficType } from "../../src/config/mesh-config.ts";
import { ClusterCompiler } from "../../src/controller/cluster-compiler.ts";
import { type ClusterMeshOptions, compileCluster } from "../../src/controller/compile-cluster.ts";
import { ClusterState } from "../../src/model/cluster-state.ts";
import { decodeObject } from "../../src/model/decode/decode-object.ts";
import { KINDS, keyOf, type MeshObject, type ObjectRef, refOf } from "../../src/model/objects.ts";
import { headerLines } from "../../src/proxy/router/header-lines.ts";
import { MeshRouteTable, newDecision } from "../../src/proxy/router/route-table.ts";
import type { Decision, ServicePortState } from "../../src/proxy/router/types.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { AccessModel, type Call } from "./access-model.ts";
import {
  ADDRESSES,
  anyCluster,
  anyEvent,
  anyObject,
  type Event,
  idOf,
  MESH_NAMESPACE,
  METHODS,
  PATHS,
} from "./clusters.ts";
import { brokenDocument, DOCUMENTS, isSmi, written } from "./raw-objects.ts";
import { traefikProperty } from "./traefik-property.ts";

const options = (accessControl: AccessMode, defaultTrafficType: TrafficType): ClusterMeshOptions => ({
  namespace: MESH_NAMESPACE,
  accessControl,
  defaultTrafficType,
  watchNamespaces: [],
  ignoreNamespaces: ["ignored"],
  meshDomains: ["traefik.mesh"],
});
const anyOptions = fc
  .tuple(
    fc.constantFrom<AccessMode[]>("on", "on", "audit", "off"),
    fc.constantFrom<TrafficType[]>("http", "tcp", "udp"),
  )
  .map(([mode, type]) => options(mode, type));

const compileAll = (objects: readonly MeshObject[], of: ClusterMeshOptions) =>
  compileCluster(ClusterState.of(objects), of);

/** The order of the objects does not matter, and what comes out is a configuration. */
const order = fc.property(anyCluster, fc.infiniteStream(fc.nat()), anyOptions, (objects, random, of) => {
  const compiled = compileAll(objects, of);
  expect(MeshConfigSchema.safeParse(compiled.config).error).toBeUndefined();
  const shuffled = objects.map((object) => [random.next().value as number, object] as const);
  const reordered = shuffled.sort(([a], [b]) => a - b).map(([, object]) => object);
  expect(compileAll(reordered, of)).toEqual(compiled);
});

/** Which parts of the configuration an object can have a say in, as functions of section and key. */
function reach(object: MeshObject): (section: string, key: string, field: string) => boolean {
  const { namespace } = object.meta;
  const own = keyOf(object.meta);
  switch (object.kind) {
    case "TrafficTarget":
      return (section, key) => section === "accessRules" && key === own;
    case "TCPRoute":
    case "UDPRoute":
      return (section, key) => section === "accessRules" && key.startsWith(`${namespace}/`);
    case "HTTPRouteGroup":
      return (section, key, field) =>
        key.startsWith(`${namespace}/`) &&
        (section === "accessRules" || (section === "servicePorts" && field === "routes"));
    case "TrafficSplit":
      return (section, key, field) =>
        section === "servicePorts" && field === "routes" && key.startsWith(`${namespace}/`);
    case "EndpointSlice":
      return (section, key, field) =>
        section === "servicePorts" && field === "endpoints" && key.startsWith(`${namespace}/${object.service}:`);
    case "Pod":
      return (section, key, field) =>
        (section === "workloads" && object.ips.includes(key)) || (section === "servicePorts" && field === "endpoints");
    case "Node":
      return (section, _key, field) => section === "workloads" || (section === "servicePorts" && field === "endpoints");
    case "Service":
      if (namespace === MESH_NAMESPACE) return (section) => section === "names" || section === "entrypoints";
      return (section, key, field) =>
        (section === "names" && key === own) ||
        section === "entrypoints" ||
        (section === "servicePorts" &&
          (key.startsWith(`${own}:`) || (field === "routes" && key.startsWith(namespace))));
    default:
      return () => false;
  }
}

/** Whatever is wrong with an object, what it cannot have a say in is as it would be without it. */
const isolation = fc.property(anyCluster, anyObject, anyOptions, (objects, object, of) => {
  const others = objects.filter((other) => idOf(other) !== idOf(object));
  const without = compileAll(others, of).config;
  const withIt = compileAll([...others, object], of).config;
  const mayTouch = reach(object);
  for (const [section, key, field] of differences(without, withIt))
    if (!mayTouch(section, key, field)) expect.fail(`${idOf(object)} changed ${section} ${key} ${field}`);
});

const meshObjectsOf = (raw: unknown): MeshObject[] =>
  (decodeObject(raw)?.objects ?? []).filter((object): object is MeshObject =>
    KINDS.some((kind) => kind === object.kind),
  );
const SOUND = DOCUMENTS.flatMap(meshObjectsOf);

/** Whatever stands in an object, it is read, or refused with the place; and then it is as above. */
const reading = fc.property(brokenDocument, fc.shuffledSubarray(SOUND), anyOptions, (raw, some, of) => {
  const decoded = decodeObject(raw);
  const faults = decoded?.problems.filter(({ severity }) => severity === "error") ?? [];
  if (faults.length > 0) expect(decoded?.objects).toEqual([]);
  for (const { message, object } of decoded?.problems ?? []) expect([message, object.name]).not.toContain("");
  const broken = meshObjectsOf(raw);
  const ids = new Set(broken.map(idOf));
  const others = [...new Map(some.map((object) => [idOf(object), object])).values()].filter(
    (object) => !ids.has(idOf(object)),
  );
  const withIt = compileAll([...others, ...broken], of).config;
  expect(MeshConfigSchema.safeParse(withIt).error).toBeUndefined();
  const mayTouch = broken.map(reach);
  for (const [section, key, field] of differences(compileAll(others, of).config, withIt))
    if (!mayTouch.some((may) => may(section, key, field))) expect.fail(`it changed ${section} ${key} ${field}`);
});

/** An SMI object says the same in whichever version it is written, as far as that has the words. */
const versions = fc.property(fc.array(anyObject, { minLength: 20, maxLength: 40, size: "max" }), (objects) => {
  for (const object of objects.filter(isSmi)) {
    const { raw, means } = written(object);
    expect(decodeObject(raw)).toMatchObject({ objects: [means], problems: [] });
  }
});

function* differences(a: MeshConfig, b: MeshConfig): Iterable<[section: string, key: string, field: string]> {
  for (const section of ["names", "entrypoints", "servicePorts", "accessRules", "workloads"] as const) {
    const [before, after]: Readonly<Record<string, object>>[] = [a[section], b[section]] as [object, object] as [
      Record<string, object>,
      Record<string, object>,
    ];
    for (const key of new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])) {
      const left = (before?.[key] ?? {}) as Readonly<Record<string, unknown>>;
      const right = (after?.[key] ?? {}) as Readonly<Record<string, unknown>>;
      for (const field of new Set([...Object.keys(left), ...Object.keys(right)]))
        if (!isDeepStrictEqual(left[field], right[field])) yield [section, key, field];
    }
  }
}

/** Groups of events: what happens between two looks at the cluster. */
const anyEvents = fc.array(fc.array(anyEvent, { minLength: 1, maxLength: 4 }), { maxLength: 12, size: "max" });

function* played(objects: readonly MeshObject[], groups: readonly (readonly Event[])[], of: ClusterMeshOptions) {
  const state = new ClusterState();
  const compiler = new ClusterCompiler(of);
  for (const events of [objects.map((put): Event => ({ put })), ...groups]) {
    const changed: ObjectRef[] = [];
    for (const event of events) {
      const ref = "put" in event ? refOf(event.put) : event.remove;
      state.apply("put" in event ? { put: [event.put], remove: [] } : { put: [], remove: [ref] });
      changed.push(ref);
    }
    yield { state, compiled: compiler.update(state, changed) };
  }
}

/** After any events in any groups, what was worked out change by change is what the objects make at once. */
const incremental = fc.property(anyCluster, anyEvents, anyOptions, (objects, groups, of) => {
  let before = compileAll([], of).config;
  for (const { state, compiled } of played(objects, groups, of)) {
    const { config, problems, changes } = compiled;
    expect({ config, problems }).toEqual(compileCluster(state, of));
    // The changes are all that changed, and a patch of them leads from the one to the other.
    expect(applyPatch(before, patchOf(changes, config))).toEqual(config);
    before = structuredClone(config);
  }
});

const anyRequest = fc.record({
  path: fc.constantFrom(...PATHS),
  method: fc.constantFrom(...METHODS),
  keys: fc.array(fc.constantFrom("yes", "no"), { maxLength: 3 }),
  host: fc.constantFrom("s0.a.traefik.mesh", "s1.a.traefik.mesh:81"),
});
const anyCall = fc.tuple(fc.constantFrom(...ADDRESSES, "10.9.9.9"), anyRequest);

/** What the tables of a proxy decide is what the objects say, for requests and flows. */
const access = fc.property(
  anyCluster,
  fc.array(anyCall, { minLength: 1, maxLength: 8 }),
  fc.constantFrom<TrafficType[]>("http", "tcp", "udp"),
  (objects, calls, type) => {
    const { config } = compileAll(objects, options("on", type));
    const table = tableOf(config);
    const model = new AccessModel(objects, type);
    const served = model.services.flatMap((service) =>
      model.portsOf(service).map((port) => ({ service, port, key: `${keyOf(service.meta)}:${port}` })),
    );
    expect(Object.keys(config.servicePorts).sort()).toEqual([...new Set(served.map(({ key }) => key))].sort());
    for (const { service, port, key } of served)
      for (const [from, request] of calls) {
        const call: Call = model.typeOf(service) === "http" ? { from, request } : { from };
        const decision = decide(table, key, call);
        const denied = decision.failure === "AccessDenied" || decision.failure === "AmbiguousPath";
        const about = `${from} calls ${key} with ${JSON.stringify(call.request)}`;
        expect([about, !denied]).toEqual([about, model.allows(service, port, call)]);
        const last = decision.path.at(-1) as ServicePortState;
        const serving = served.find((each) => each.key === last.key);
        if (denied || serving === undefined || decision.failure === "NoRoute") continue;
        const reached = decision.endpoints.map((endpoint) => `${endpoint.address} ${endpoint.port}`).sort();
        if (last.endpoints.length > 0 && decision.failure === "")
          expect([about, reached]).toEqual([about, model.reached(serving.service, serving.port, call)]);
      }
  },
);

/** Tables that were changed entry by entry decide as those do that never knew another configuration. */
const tables = fc.property(
  anyCluster,
  anyEvents,
  fc.array(anyCall, { minLength: 1, maxLength: 4 }),
  fc.constantFrom<AccessMode[]>("on", "on", "audit", "off"),
  (objects, groups, calls, mode) => {
    const table = tableOf(compileAll([], options(mode, "http")).config);
    for (const { compiled } of played(objects, groups, options(mode, "http"))) {
      const { config, changes } = compiled;
      table.apply(config, changes);
      const fresh = tableOf(config);
      for (const [key, { trafficType }] of Object.entries(config.servicePorts))
        for (const [from, request] of calls) {
          const call: Call = trafficType === "http" ? { from, request } : { from };
          const about = `${from} calls ${key} with ${JSON.stringify(call.request)}`;
          expect([about, outcome(decide(table, key, call))]).toEqual([about, outcome(decide(fresh, key, call))]);
        }
    }
  },
);

/** Without what depends on calls before: whose turn it is in a split. */
function outcome({ failure, path, endpoints, route, wouldDeny }: Decision): unknown {
  const denied = failure === "NoEndpoint" ? "" : failure;
  const reached = path.length > 1 ? [] : endpoints.map(({ key, config }) => [key, config]);
  return { denied, wouldDeny, first: path[0]?.key, route, reached };
}

function tableOf(config: MeshConfig): MeshRouteTable {
  const clock = { now: () => 0, wall: () => 0, after: () => ({ cancel() {} }) };
  const table = new MeshRouteTable({ clock, random: () => 0.5, log: silentLog });
  table.apply(config);
  return table;
}

function decide(table: MeshRouteTable, key: string, { from, request }: Call): Decision {
  const decision = newDecision();
  const entry = table.servicePort(key) as ServicePortState;
  const caller = table.caller(from);
  if (request === undefined) table.routeFlow(entry, caller, decision);
  else {
    const { path, method, keys, host } = request;
    const lines = [{ name: "host", value: host }, ...keys.map((value) => ({ name: "x-key", value }))];
    table.routeHttp(entry, caller, { path, method, query: "", ...headerLines(lines) }, decision);
  }
  return decision;
}

export const PROPERTIES: Readonly<Record<string, fc.IRawProperty<unknown>>> = {
  "worked out change by change is the same as at once": incremental as fc.IRawProperty<unknown>,
  "tables changed entry by entry decide as new ones do": tables as fc.IRawProperty<unknown>,
  "the order of objects does not matter": order as fc.IRawProperty<unknown>,
  "an object changes nothing but what it can have a say in": isolation as fc.IRawProperty<unknown>,
  "whatever stands in an object, it is read or refused, and harms no other": reading as fc.IRawProperty<unknown>,
  "SMI's objects say the same in each version": versions as fc.IRawProperty<unknown>,
  "access is what the objects say, in HTTP, TCP and UDP": access as fc.IRawProperty<unknown>,
  "Traefik lets nobody through whom the objects deny": traefikProperty(options) as fc.IRawProperty<unknown>,
};
