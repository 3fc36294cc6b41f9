/** Each `testdata/<feature>/<case>.in.yaml` against its `.out.yaml`; `npx vitest run src/compiler -u` rewrites these. */
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import { type AccessMode, MeshConfigSchema, type TrafficType } from "../config/mesh-config.ts";
import { LoopbackAddresses } from "../manifests/loopback-addresses.ts";
import { parseManifest } from "../manifests/manifest-file.ts";
import { materialize } from "../manifests/materialize.ts";
import { ClusterState } from "../model/cluster-state.ts";
import type { MeshObject } from "../model/objects.ts";
import { formatProblem, PROBLEMS } from "../model/problems.ts";
import { buildTopology } from "../topology/build-topology.ts";
import { type Compiled, compile } from "./compile.ts";

const FOLDER = new URL("./testdata/", import.meta.url);
const CASES = readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".in.yaml"))
  .map((path) => path.slice(0, -".in.yaml".length))
  .sort();

interface Input {
  readonly objects: readonly MeshObject[];
  readonly accessControl: AccessMode;
  readonly defaultTrafficType: TrafficType;
  readonly addresses: LoopbackAddresses;
}

function read(name: string): Input {
  const text = readFileSync(new URL(`${name}.in.yaml`, FOLDER), "utf8");
  const [first] = parseAllDocuments(text).map((document) => document.toJS() as Record<string, string>);
  const options = first?.["kind"] === "CompileOptions" ? first : {};
  const addresses = new LoopbackAddresses();
  const entries = parseManifest(name, text).entries.filter(({ ref }) => ref.kind !== "CompileOptions");
  return {
    objects: materialize(
      entries.flatMap(({ objects }) => objects),
      addresses,
    ).objects,
    accessControl: (options["acl"] ?? "on") as AccessMode,
    defaultTrafficType: (options["defaultMode"] ?? "http") as TrafficType,
    addresses,
  };
}

function compileObjects(objects: readonly MeshObject[], input: Input): Compiled {
  const addressOf = (key: string) => input.addresses.meshAddress(key) ?? "";
  return compile(buildTopology(ClusterState.of(objects)), {
    accessControl: input.accessControl,
    defaultTrafficType: input.defaultTrafficType,
    meshDomains: ["traefik.mesh", "maesh"],
    placement: {
      addresses: (key) => [addressOf(key)],
      entrypoints: (key, port) => [{ address: addressOf(key), port }],
    },
  });
}

const compileCase = (name: string) => {
  const input = read(name);
  return compileObjects(input.objects, input);
};

describe.each(CASES)("%s", (name) => {
  test("compiles to what its pair says", async () => {
    const { config, problems } = compileCase(name);
    const out = stringify(
      { problems: problems.map(formatProblem), config },
      { aliasDuplicateObjects: false, sortMapEntries: true, lineWidth: 0 },
    );
    await expect(out).toMatchFileSnapshot(new URL(`${name}.out.yaml`, FOLDER).pathname);
  });

  test("fits the schema, and does not depend on the order of the objects", () => {
    const input = read(name);
    const compiled = compileObjects(input.objects, input);
    expect(MeshConfigSchema.safeParse(compiled.config).error).toBeUndefined();
    fc.assert(
      fc.property(fc.shuffledSubarray([...input.objects], { minLength: input.objects.length }), (shuffled) => {
        expect(compileObjects(shuffled, input)).toEqual(compiled);
      }),
      { numRuns: 10 },
    );
  });
});

test("any part of all the cases together compiles, and says nothing but problems", () => {
  const inputs = CASES.map(read);
  const all = inputs.flatMap(({ objects }) => objects);
  const [first] = inputs as [Input, ...Input[]];
  fc.assert(
    fc.property(fc.shuffledSubarray(all), (some) => {
      expect(MeshConfigSchema.safeParse(compileObjects(some, first).config).success).toBe(true);
    }),
    { numRuns: 50 },
  );
});

/** What only a source of objects, the loopback cluster or a controller can find. */
const OF_SOURCES = [
  "FileUnreadable",
  "FolderWithoutManifests",
  "ManifestEmptied",
  "ManifestSyntax",
  "ManifestInvalid",
  "NoManifest",
  "DuplicateObject",
  "UnknownVersion",
  "KindUnknown",
  "AddressesExhausted",
  "DescriptorsExhausted",
  "TargetPortUnresolved",
  "SliceWithoutService",
  "ImageNotServed",
  "SampleNotServed",
  // Of shadow services; see shadow-keeper.test.ts.
  "PortsExhausted",
  "ShadowNameTaken",
  // Of pods as a cluster has them; see build-topology.test.ts.
  "PodAddressShared",
];

test("every problem that topology and compiler can find is in a case", () => {
  const found = new Set(CASES.flatMap((name) => compileCase(name).problems.map(({ code }) => code)));
  // What Traefik cannot do is in the cases of src/traefik.
  const expected = Object.keys(PROBLEMS).filter((code) => !OF_SOURCES.includes(code) && !code.startsWith("Traefik"));
  expect([...found].sort()).toEqual(expected.sort());
});
