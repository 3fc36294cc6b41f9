/** Each `testdata/<case>.in.yaml` against its `.out.json`; `npx vitest run src/topology-view -u` rewrites these. */
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { compile } from "../compiler/compile.ts";
import type { AccessMode } from "../config/mesh-config.ts";
import { LoopbackAddresses } from "../manifests/loopback-addresses.ts";
import { parseManifest } from "../manifests/manifest-file.ts";
import { materialize } from "../manifests/materialize.ts";
import { ClusterState } from "../model/cluster-state.ts";
import type { MeshObject } from "../model/objects.ts";
import { buildTopology } from "../topology/build-topology.ts";
import { type TopologyDocument, topologyDocument } from "./topology-document.ts";

const FOLDER = new URL("./testdata/", import.meta.url);
const CASES = readdirSync(FOLDER)
  .filter((path) => path.endsWith(".in.yaml"))
  .map((path) => path.slice(0, -".in.yaml".length))
  .sort();

function read(name: string): { objects: readonly MeshObject[]; accessControl: AccessMode } {
  const text = readFileSync(new URL(`${name}.in.yaml`, FOLDER), "utf8");
  const [first] = parseAllDocuments(text).map((document) => document.toJS() as Record<string, string>);
  const acl = first?.["kind"] === "CompileOptions" ? first["acl"] : "on";
  const entries = parseManifest(name, text).entries.filter(({ ref }) => ref.kind !== "CompileOptions");
  const decoded = entries.flatMap(({ objects }) => objects);
  return { objects: materialize(decoded, new LoopbackAddresses()).objects, accessControl: acl as AccessMode };
}

function documentOf(objects: readonly MeshObject[], accessControl: AccessMode): TopologyDocument {
  const state = ClusterState.of(objects);
  const topology = buildTopology(state);
  const compiled = compile(topology, {
    accessControl,
    defaultTrafficType: "http",
    meshDomains: ["traefik.mesh"],
    placement: { addresses: () => [], entrypoints: () => [] },
  });
  return topologyDocument({ state, topology, ...compiled });
}

const documentOfCase = (name: string) => {
  const { objects, accessControl } = read(name);
  return documentOf(objects, accessControl);
};

describe.each(CASES)("%s", (name) => {
  test("is told as its pair says", async () => {
    const text = `${JSON.stringify(documentOfCase(name), null, 2)}\n`;
    await expect(text).toMatchFileSnapshot(new URL(`${name}.out.json`, FOLDER).pathname);
  });

  test("is told the same in whatever order the objects come", () => {
    const { objects, accessControl } = read(name);
    const expected = JSON.stringify(documentOf(objects, accessControl));
    const shuffled = fc.shuffledSubarray([...objects], { minLength: objects.length });
    fc.assert(
      fc.property(shuffled, (order) => JSON.stringify(documentOf(order, accessControl)) === expected),
      { numRuns: 20 },
    );
  });

  test("has no key that names nothing", () => {
    const { services, pods, serviceTrafficTargets, trafficSplits } = documentOfCase(name);
    const lists = (table: object, field: string): string[] =>
      Object.values(table).flatMap((entry) => (entry as Record<string, string[]>)[field] ?? []);
    const targets = Object.values(serviceTrafficTargets);
    expect(Object.keys(pods)).toEqual(
      expect.arrayContaining([
        ...lists(services, "pods"),
        ...lists(trafficSplits, "incoming"),
        ...targets.flatMap(({ sources = [] }) => sources.flatMap((source) => source.pods ?? [])),
        ...targets.flatMap(({ destination }) => destination.pods ?? []),
      ]),
    );
    expect(Object.keys(serviceTrafficTargets)).toEqual(
      expect.arrayContaining([
        ...lists(services, "trafficTargets"),
        ...lists(pods, "sourceOf"),
        ...lists(pods, "destinationOf"),
      ]),
    );
    expect([...lists(services, "trafficSplits"), ...lists(services, "backendOf")]).toSatisfy((keys: string[]) =>
      keys.every((key) => key in trafficSplits),
    );
  });
});

/** Of the original's answer: field, and `?` where it is left out when empty. */
const FIELDS = {
  services:
    "name namespace selector annotations ports? clusterIp pods? trafficTargets? trafficSplits? backendOf? errors",
  pods: "name namespace serviceAccount ownerReferences? containerPorts? ip sourceOf? destinationOf?",
  serviceTrafficTargets: "service name namespace sources? destination rules? errors",
  trafficSplits: "name namespace service backends? rules? incoming? errors",
} as const;
const NESTED = {
  sources: "serviceAccount namespace pods?",
  destination: "serviceAccount namespace ports? pods?",
  rules: "httpRouteGroup? tcpRoute? httpMatches?",
  backends: "weight service",
} as const;
/** What the original had not. */
const OWN = ["udpRoute"];

function expectShape(where: string, entry: object, fields: string): void {
  const wanted = fields.split(" ");
  const required = wanted.filter((field) => !field.endsWith("?"));
  const known = [...wanted.map((field) => field.replace("?", "")), ...OWN];
  const found = Object.keys(entry);
  expect([where, required.filter((field) => !found.includes(field))]).toEqual([where, []]);
  expect([where, found.filter((field) => !known.includes(field))]).toEqual([where, []]);
}

test("every object has the fields of the original, and no list of them is empty", () => {
  const seen = new Set<string>();
  for (const name of CASES) {
    const document = documentOfCase(name);
    expect(Object.keys(document)).toEqual(["services", "pods", "serviceTrafficTargets", "trafficSplits"]);
    for (const [table, fields] of Object.entries(FIELDS))
      for (const [key, entry] of Object.entries(document[table as keyof typeof FIELDS])) {
        expectShape(`${name} ${table} ${key}`, entry, fields);
        for (const [field, value] of Object.entries(entry)) {
          seen.add(`${table}.${field}`);
          if (Array.isArray(value)) expect([`${key} ${field}`, value.length]).not.toEqual([`${key} ${field}`, 0]);
          const nested = NESTED[field as keyof typeof NESTED];
          if (nested === undefined) continue;
          for (const part of [value].flat() as object[]) {
            expectShape(`${name} ${table} ${key} ${field}`, part, nested);
            for (const name of Object.keys(part)) seen.add(`${field}.${name}`);
          }
        }
      }
  }
  // The cases show every field at least once.
  const all = Object.entries({ ...FIELDS, ...NESTED }).flatMap(([table, fields]) =>
    fields.split(" ").map((field) => `${table}.${field.replace("?", "")}`),
  );
  expect(all.filter((field) => !seen.has(field))).toEqual([]);
});

test("keys are made of names and namespaces", () => {
  const { serviceTrafficTargets, services } = documentOfCase("targets");
  expect(Object.keys(services)).toContain("server@shop");
  expect(Object.keys(serviceTrafficTargets)).toContain("server@shop:every-port@shop");
});
