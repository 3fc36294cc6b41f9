import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { receive } from "./config-message.ts";
import { applyPatch, diff, isEmptyPatch, shareUnchanged } from "./delta.ts";
import { emptyMeshConfig, type MeshConfig, MeshConfigSchema, type ServicePort } from "./mesh-config.ts";
import { seal } from "./snapshot.ts";

const port = (service: string, weights: readonly number[], endpoints: readonly string[]): ServicePort => ({
  namespace: "n",
  service,
  port: 80,
  trafficType: "http",
  scheme: "http",
  middlewares: weights.length > 2 ? { retry: { attempts: 2 } } : {},
  ...(weights.length === 0
    ? {}
    : {
        routes: [
          {
            origin: { kind: "TrafficSplit", namespace: "n", name: "s" },
            matches: [],
            backends: weights.map((weight, index) => ({ servicePort: `n/b${index}:80`, weight })),
          },
        ],
      }),
  endpoints: Object.fromEntries(endpoints.map((address) => [`${address}:80`, { identity: "n/a" }])),
});

const anyPort = fc
  .tuple(fc.array(fc.nat(3), { maxLength: 4 }), fc.uniqueArray(fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3")))
  .map(([weights, endpoints]) => port("s", weights, endpoints));
const anyConfig: fc.Arbitrary<MeshConfig> = fc
  .record({
    accessControl: fc.constantFrom("off" as const, "audit" as const, "on" as const),
    meshDomains: fc.subarray(["traefik.mesh", "maesh"]),
    names: fc.dictionary(fc.constantFrom("n/a", "n/b", "__proto__"), fc.subarray(["127.3.0.1", "127.3.0.2"])),
    servicePorts: fc.dictionary(fc.constantFrom("n/a:80", "n/b:80", "n/c:80"), anyPort),
  })
  .map((parts) => ({ ...emptyMeshConfig(), ...parts }));

/** As it would arrive over a connection. */
const overTheWire = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

describe("a delta", () => {
  test("applied to what it starts from is what it leads to, with the same version", () => {
    fc.assert(
      fc.property(anyConfig, anyConfig, (from, to) => {
        const result = applyPatch(from, overTheWire(diff(from, to)));
        expect(result).toEqual(to);
        expect(seal(result).version).toBe(seal(to).version);
      }),
    );
  });

  test("between equals is empty", () => {
    fc.assert(fc.property(anyConfig, (config) => isEmptyPatch(diff(config, structuredClone(config)))));
  });

  test("of one endpoint is one entry, and all else keeps its reference", () => {
    const from = {
      ...emptyMeshConfig(),
      servicePorts: { a: port("a", [1], ["10.0.0.1"]), b: port("b", [], ["10.0.0.2"]) },
    };
    const to = structuredClone(from);
    to.servicePorts.a.endpoints["10.0.0.9:80"] = { identity: "n/z" };
    const patch = diff(from, to);
    expect(patch).toEqual({ servicePorts: { a: { endpoints: { "10.0.0.9:80": { identity: "n/z" } } } } });
    const result = applyPatch(from, patch);
    expect(result.servicePorts["b"]).toBe(from.servicePorts.b);
    expect(result.servicePorts["a"]?.routes).toBe(from.servicePorts.a.routes);
    expect(from.servicePorts.a.endpoints).not.toHaveProperty("10.0.0.9:80");
  });

  test("replaces an array whole, and takes away what is gone", () => {
    const from = { ...emptyMeshConfig(), meshDomains: ["a", "b"], names: { "n/a": ["127.3.0.1"] } };
    expect(diff(from, { ...emptyMeshConfig(), meshDomains: ["a"] })).toEqual({
      meshDomains: ["a"],
      names: { "n/a": null },
    });
  });
});

describe("a version", () => {
  test("does not depend on the order of keys", () => {
    const config = { ...emptyMeshConfig(), names: { a: ["1"], b: ["2"] } };
    const turned = {
      ...Object.fromEntries(Object.entries(config).reverse()),
      names: { b: ["2"], a: ["1"] },
    } as unknown as MeshConfig;
    expect(seal(turned).version).toBe(seal(config).version);
  });

  test("differs where the content does", () => {
    fc.assert(
      fc.property(anyConfig, anyConfig, (a, b) => {
        expect(seal(a).version === seal(b).version).toBe(isEmptyPatch(diff(a, b)));
      }),
    );
  });
});

describe("a message of the config stream", () => {
  const config = { ...emptyMeshConfig(), names: { "n/a": ["127.3.0.1"] } };
  const next = { ...config, names: { "n/a": ["127.3.0.2"] } };
  const full = { type: "full", sequence: 1, version: seal(config).version, config };
  const delta = {
    type: "delta",
    sequence: 2,
    from: seal(config).version,
    version: seal(next).version,
    patch: diff(config, next),
  };

  test("that is full is the configuration, and a delta leads on from it", () => {
    const first = receive(overTheWire(full), undefined);
    expect(first).toEqual({ snapshot: seal(config) });
    expect(receive(overTheWire(delta), seal(config))).toEqual({ snapshot: seal(next) });
  });

  test.each([
    ["a delta without anything in force", delta, undefined, /but nothing is in force: ask for the whole/],
    ["a delta from another version", delta, seal(next), /ask for the whole/],
    ["a version that is not the content's", { ...full, version: "0" }, undefined, /the message says 0/],
    ["a field that is not known", { ...full, config: { ...config, more: 1 } }, undefined, /more/],
    ["a delta to no configuration", { ...delta, patch: { names: 5 } }, seal(config), /leads to no configuration/],
    ["something else", "hello", undefined, /not a configuration message/],
  ])("is an error for %s, never an exception", (_name, message, current, error) => {
    expect(receive(overTheWire(message), current)).toEqual({ error: expect.stringMatching(error) });
  });
});

test("an empty configuration fits the schema", () => {
  expect(MeshConfigSchema.safeParse(emptyMeshConfig()).success).toBe(true);
});

test("sharing says the same, and what did not change is the very same object", () => {
  fc.assert(
    fc.property(anyConfig, anyConfig, (from, to) => {
      const shared = shareUnchanged(from, to);
      expect(shared).toEqual(to);
      for (const [key, value] of Object.entries(shared.servicePorts))
        if (
          seal({ ...emptyMeshConfig(), servicePorts: { k: value } }).version ===
          seal({ ...emptyMeshConfig(), servicePorts: { k: from.servicePorts[key] ?? port("?", [], []) } }).version
        )
          expect(value).toBe(from.servicePorts[key]);
      expect(shareUnchanged(from, overTheWire(from))).toBe(from);
    }),
  );
});
