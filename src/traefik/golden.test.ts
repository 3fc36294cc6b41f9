/** Each `testdata/<case>.in.yaml` against its `.out.yaml`; `npx vitest run src/traefik -u` rewrites these. */
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments, stringify } from "yaml";
import { compile } from "../compiler/compile.ts";
import type { AccessMode } from "../config/mesh-config.ts";
import { LoopbackAddresses } from "../manifests/loopback-addresses.ts";
import { parseManifest } from "../manifests/manifest-file.ts";
import { materialize } from "../manifests/materialize.ts";
import { ClusterState } from "../model/cluster-state.ts";
import type { MeshObject } from "../model/objects.ts";
import { formatProblem, PROBLEMS } from "../model/problems.ts";
import { buildTopology } from "../topology/build-topology.ts";
import { AssignedNumbers } from "./entrypoint-numbers.ts";
import { type Translated, toTraefik } from "./to-traefik.ts";
import { traefikText } from "./traefik-configuration.ts";

const FOLDER = new URL("./testdata/", import.meta.url);
const CASES = readdirSync(FOLDER)
  .filter((path) => path.endsWith(".in.yaml"))
  .map((path) => path.slice(0, -".in.yaml".length))
  .sort();
/** Those of HTTP. */
const LAST_ENTRYPOINT = 5_002;

interface Input {
  readonly objects: readonly MeshObject[];
  readonly accessControl: AccessMode;
}

function read(name: string): Input {
  const text = readFileSync(new URL(`${name}.in.yaml`, FOLDER), "utf8");
  const [first] = parseAllDocuments(text).map((document) => document.toJS() as Record<string, string>);
  const entries = parseManifest(name, text).entries.filter(({ ref }) => ref.kind !== "TranslateOptions");
  return {
    objects: materialize(
      entries.flatMap(({ objects }) => objects),
      new LoopbackAddresses(),
    ).objects,
    accessControl: first?.["acl"] as AccessMode,
  };
}

function translate(objects: readonly MeshObject[], accessControl: AccessMode): Translated {
  const state = ClusterState.of(objects);
  const { config } = compile(buildTopology(state), {
    accessControl,
    defaultTrafficType: "http",
    meshDomains: ["traefik.mesh", "maesh"],
    placement: { addresses: () => [], entrypoints: () => [] },
  });
  const service = (key: string) => state.get("Service", key);
  const assigned = new AssignedNumbers().of(service);
  return toTraefik({
    config,
    service,
    numbers(key, servicePort) {
      const number = assigned(key, servicePort);
      return servicePort.trafficType === "http" && (number ?? 0) > LAST_ENTRYPOINT ? undefined : number;
    },
  });
}

const translateCase = (name: string) => {
  const { objects, accessControl } = read(name);
  return translate(objects, accessControl);
};

describe.each(CASES)("%s", (name) => {
  test("comes to what its pair says", async () => {
    const { configuration, problems } = translateCase(name);
    const out = stringify(
      { problems: problems.map(formatProblem), configuration },
      { aliasDuplicateObjects: false, lineWidth: 0 },
    );
    await expect(out).toMatchFileSnapshot(new URL(`${name}.out.yaml`, FOLDER).pathname);
  });

  test("does not depend on the order of the objects", () => {
    const { objects, accessControl } = read(name);
    const text = traefikText(translate(objects, accessControl).configuration);
    fc.assert(
      fc.property(fc.shuffledSubarray([...objects], { minLength: objects.length }), (shuffled) => {
        expect(traefikText(translate(shuffled, accessControl).configuration)).toBe(text);
      }),
      { numRuns: 10 },
    );
  });

  test("is text that YAML and JSON read alike", () => {
    const { configuration } = translateCase(name);
    const text = traefikText(configuration);
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(configuration)));
    expect(parse(text)).toEqual(JSON.parse(text));
  });
});

test("every problem of Traefik's is in a case", () => {
  const found = new Set(CASES.flatMap((name) => translateCase(name).problems.map(({ code }) => code)));
  const expected = Object.keys(PROBLEMS).filter((code) => code.startsWith("Traefik"));
  expect([...found].sort()).toEqual(expected.sort());
});

test("any part of all the cases together refers to nothing that is not there", () => {
  const all = CASES.flatMap((name) => read(name).objects);
  fc.assert(
    fc.property(fc.shuffledSubarray(all), fc.constantFrom<AccessMode>("off", "on"), (some, mode) => {
      const { http, tcp, udp } = translate(some, mode).configuration;
      for (const { service, middlewares = [], rule } of Object.values(http.routers)) {
        expect(http.services).toHaveProperty([service]);
        for (const middleware of middlewares) expect(http.middlewares).toHaveProperty([middleware]);
        expect(rule).not.toBe("");
      }
      for (const part of [http, tcp, udp])
        for (const service of Object.values(part?.services ?? {}))
          if ("weighted" in service)
            for (const { name } of service.weighted.services) expect(part?.services).toHaveProperty([name]);
      for (const { service } of [...Object.values(tcp?.routers ?? {}), ...Object.values(udp?.routers ?? {})])
        expect({ ...tcp?.services, ...udp?.services }).toHaveProperty([service]);
    }),
    { numRuns: 50 },
  );
});
