import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Change, ConfigWriter, changesBetween, entryOf, patchOf, SECTIONS } from "./changes.ts";
import { type Received, receive } from "./config-message.ts";
import { applyPatch, diffOf, type MergePatch, shareUnchanged } from "./delta.ts";
import { emptyMeshConfig, type MeshConfig, MeshConfigSchema, type ServicePort } from "./mesh-config.ts";
import { LiveSnapshot, seal } from "./snapshot.ts";

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

const diff = (from: MeshConfig, to: MeshConfig) => (diffOf(from, to) ?? {}) as MergePatch;
const isEmptyPatch = (patch: MergePatch) => Object.keys(patch).length === 0;

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

const live = (config: MeshConfig) => new LiveSnapshot(structuredClone(config));
const plain = (received: Received) => ("error" in received ? received.error : received.snapshot.toJSON());

describe("a configuration that goes on in place", () => {
  const anySteps = fc.array(
    anyConfig.map(({ names, servicePorts }) => ({ names, servicePorts })),
    { maxLength: 6 },
  );

  test("has at each step the version of its content, and any step before leads to it by a patch", () => {
    fc.assert(
      fc.property(anyConfig, anySteps, (first, steps) => {
        const snapshot = live(first);
        const past: { config: MeshConfig; changes: Change[] }[] = [];
        for (const step of steps) {
          const config = structuredClone(snapshot.config);
          const changes = walkTo(snapshot, { ...first, ...step });
          past.push({ config, changes });
          expect(snapshot.config).toEqual({ ...first, ...step });
          expect(snapshot.version).toBe(seal(structuredClone(snapshot.config)).version);
          expect(changesBetween(config, snapshot.config)).toEqual(expect.arrayContaining(changes));
          for (const [index, before] of past.entries()) {
            const since = past.slice(index).flatMap((each) => each.changes);
            const patch = overTheWire(patchOf(since, snapshot.config));
            expect(applyPatch(before.config, patch)).toEqual(snapshot.config);
          }
        }
      }),
    );
  });

  test("is as it was when the changes are taken back", () => {
    fc.assert(
      fc.property(anyConfig, anyConfig, (from, { names, servicePorts }) => {
        const snapshot = live(from);
        snapshot.revert(walkTo(snapshot, { ...from, names, servicePorts }));
        expect(snapshot.toJSON()).toEqual(seal(from));
      }),
    );
  });

  function walkTo(snapshot: LiveSnapshot, to: MeshConfig): Change[] {
    const writer = new ConfigWriter(snapshot.config);
    for (const section of SECTIONS)
      for (const key of new Set([...Object.keys(snapshot.config[section]), ...Object.keys(to[section])]))
        writer.put(section, key, entryOf(to, section, key));
    const changes = writer.take();
    snapshot.noteChanges(changes);
    return changes;
  }
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
    expect(plain(first)).toEqual(seal(config));
    const second = receive(overTheWire(delta), "error" in first ? undefined : first.snapshot);
    expect(plain(second)).toEqual(seal(next));
    expect(second).toHaveProperty("changes", [{ section: "names", key: "n/a", before: ["127.3.0.1"] }]);
  });

  test("that is a delta of a setting leads on too, and anything may be another then", () => {
    const audit = { ...next, accessControl: "audit" as const };
    const patch = diff(config, audit);
    const received = receive(overTheWire({ ...delta, version: seal(audit).version, patch }), live(config));
    expect(plain(received)).toEqual(seal(audit));
    expect(received).not.toHaveProperty("changes");
  });

  test.each([
    ["a delta without anything in force", delta, undefined, /but nothing is in force: ask for the whole/],
    ["a delta from another version", delta, live(next), /ask for the whole/],
    ["a version that is not the content's", { ...full, version: "0" }, undefined, /the message says 0/],
    ["a field that is not known", { ...full, config: { ...config, more: 1 } }, undefined, /more/],
    ["a delta to no configuration", { ...delta, patch: { names: 5 } }, live(config), /leads to no configuration/],
    ["an entry that cannot be", { ...delta, patch: { names: { "n/a": 5 } } }, live(config), /names\["n\/a"\]/],
    ["something else", "hello", undefined, /not a configuration message/],
  ])("is an error for %s, never an exception", (_name, message, current, error) => {
    expect(receive(overTheWire(message), current)).toEqual({ error: expect.stringMatching(error) });
  });

  test("leaves what is in force as it was where it does not lead to what it says", () => {
    const current = live(config);
    const patch = { names: { "n/a": null, "n/b": ["127.3.0.3"] } };
    expect(receive(overTheWire({ ...delta, patch }), current)).toHaveProperty("error");
    expect(current.toJSON()).toEqual(seal(config));
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
