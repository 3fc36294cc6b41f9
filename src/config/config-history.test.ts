import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfigWriter } from "./changes.ts";
import { changesOf } from "./config-changes.ts";
import { ConfigHistory, MAX_CHANGES, MAX_ENTRIES, MAX_TOTAL_BYTES } from "./config-history.ts";
import { emptyMeshConfig, type MeshConfig, type ServicePort } from "./mesh-config.ts";
import { LiveSnapshot, seal } from "./snapshot.ts";

const port = (service: string, more: Partial<ServicePort> = {}): ServicePort => ({
  ...{ namespace: "shop", service, port: 80, trafficType: "http", scheme: "http", middlewares: {}, endpoints: {} },
  ...more,
});

function meshOf(servicePorts: MeshConfig["servicePorts"], more: Partial<MeshConfig> = {}): MeshConfig {
  return { ...emptyMeshConfig(), servicePorts, ...more };
}

const split = (v1: number, v2: number): NonNullable<ServicePort["routes"]> => [
  {
    origin: { kind: "TrafficSplit", namespace: "shop", name: "canary" },
    matches: [],
    backends: [
      { servicePort: "shop/v1:80", weight: v1 },
      { servicePort: "shop/v2:80", weight: v2 },
    ],
  },
];

describe("what changed between two configurations", () => {
  test("is nothing where they are equal", () => {
    expect(changesOf(meshOf({ "shop/a:80": port("a") }), meshOf({ "shop/a:80": port("a") }))).toEqual([]);
  });

  test("names Services that came and went", () => {
    const changes = changesOf(meshOf({ "shop/a:80": port("a") }), meshOf({ "shop/b:80": port("b") }));
    expect(changes).toEqual([
      { change: "removed", what: "Service", object: "shop/a:80", fields: [] },
      { change: "added", what: "Service", object: "shop/b:80", fields: [] },
    ]);
  });

  test("says a split's weights before and after", () => {
    const before = meshOf({ "shop/a:80": port("a", { routes: split(80, 20) }) });
    const after = meshOf({ "shop/a:80": port("a", { routes: split(50, 50) }) });
    expect(changesOf(before, after)).toEqual([
      {
        change: "changed",
        what: "Service",
        object: "shop/a:80",
        fields: [
          {
            field: "routes",
            before: "TrafficSplit shop/canary: shop/v1:80 80, shop/v2:80 20",
            after: "TrafficSplit shop/canary: shop/v1:80 50, shop/v2:80 50",
          },
        ],
      },
    ]);
  });

  test("names endpoints, and not their Service, where they alone changed", () => {
    const before = meshOf({ "shop/a:80": port("a", { endpoints: { "10.1.0.1:80": { pod: "shop/a-1" } } }) });
    const after = meshOf({ "shop/a:80": port("a", { endpoints: { "10.1.0.2:80": { pod: "shop/a-2" } } }) });
    expect(changesOf(before, after).map(({ change, what, object }) => `${what} ${object} ${change}`)).toEqual([
      "endpoint 10.1.0.1:80 of shop/a:80 removed",
      "endpoint 10.1.0.2:80 of shop/a:80 added",
    ]);
  });

  test("tells rules, callers and settings", () => {
    const rule = {
      origin: { kind: "TrafficTarget", namespace: "shop", name: "web" },
      destination: "shop/a",
      sources: ["shop/b"],
    };
    const workload = { namespace: "shop", pod: "b", serviceAccount: "b" };
    const changes = changesOf(
      meshOf({}, { accessRules: { "shop/web": rule } }),
      meshOf(
        {},
        {
          accessControl: "on",
          accessRules: { "shop/web": { ...rule, sources: ["shop/c"] } },
          workloads: { "10.1.0.9": workload },
        },
      ),
    );
    expect(changes).toEqual([
      {
        change: "changed",
        what: "TrafficTarget",
        object: "shop/web",
        fields: [{ field: "sources", before: "shop/b", after: "shop/c" }],
      },
      { change: "added", what: "caller", object: "10.1.0.9", fields: [] },
      {
        change: "changed",
        what: "setting",
        object: "accessControl",
        fields: [{ field: "", before: "off", after: "on" }],
      },
    ]);
  });

  test("tells the addresses of a name, also of one that had none", () => {
    const named = (...addresses: string[]) => meshOf({}, { names: { "shop/a": addresses } });
    const fields = (before: MeshConfig, after: MeshConfig) => changesOf(before, after).flatMap(({ fields }) => fields);
    expect(fields(named(), named("10.1.0.1", "fd00::1"))).toEqual([
      { field: "", before: "none", after: "10.1.0.1, fd00::1" },
    ]);
  });

  test("is said in texts of bounded length, however long a value is", () => {
    const long = { circuitBreaker: { expression: { any: Array(1000).fill({ metric: "networkErrorRatio" }) } } };
    const before = meshOf({ "shop/a:80": port("a") });
    const [change] = changesOf(before, meshOf({ "shop/a:80": port("a", { middlewares: long as never }) }));
    expect(change?.fields[0]?.after).toMatch(/^.{300}…$/);
  });
});

describe("the history", () => {
  const meshWith = (changed: number) =>
    seal(meshOf(Object.fromEntries(Array.from({ length: changed }, (_, index) => [`shop/s${index}:80`, port("s")]))));

  test("begins with what was in force first, and has the newest first", () => {
    const history = new ConfigHistory();
    history.note(meshWith(0), 0);
    history.note(meshWith(1), 1000);
    expect(history.entries().map(({ at, changes }) => [at, changes.length])).toEqual([
      ["1970-01-01T00:00:01.000Z", 1],
      ["1970-01-01T00:00:00.000Z", 0],
    ]);
  });

  test("takes no notice of a version that is in force already", () => {
    const history = new ConfigHistory();
    history.note(meshWith(1), 0);
    history.note(meshWith(1), 1000);
    expect(history.entries()).toHaveLength(1);
  });

  test("counts the changes that find no place", () => {
    const history = new ConfigHistory();
    history.note(meshWith(0), 0);
    history.note(meshWith(MAX_CHANGES + 7), 0);
    expect(history.entries()[0]).toMatchObject({ omitted: 7 });
    expect(history.entries()[0]?.changes).toHaveLength(MAX_CHANGES);
  });

  test("never outgrows its bounds, whatever comes into force", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2 * MAX_CHANGES), { maxLength: 2 * MAX_ENTRIES }), (sizes) => {
        const history = new ConfigHistory();
        for (const size of sizes) history.note(meshWith(size), 0);
        const entries = history.entries();
        expect(entries.length).toBeLessThanOrEqual(MAX_ENTRIES);
        const bytes = entries.reduce((sum, entry) => sum + JSON.stringify(entry).length, 0);
        expect(entries.length === 1 || bytes <= MAX_TOTAL_BYTES).toBe(true);
      }),
      { numRuns: 5 },
    );
  });
});

test("of a configuration that is changed in place, the same is told as of two that are compared", () => {
  const before = meshOf({ "shop/a:80": port("a", { routes: split(80, 20) }), "shop/b:80": port("b") });
  const after = meshOf({ "shop/a:80": port("a", { routes: split(50, 50) }), "shop/c:80": port("c") });
  const compared = new ConfigHistory();
  compared.note(seal(before), 0);
  compared.note(seal(after), 1);

  const live = new LiveSnapshot(structuredClone(before));
  const history = new ConfigHistory();
  history.note(live, 0);
  const writer = new ConfigWriter(live.config);
  for (const key of ["shop/a:80", "shop/b:80", "shop/c:80"]) writer.put("servicePorts", key, after.servicePorts[key]);
  const changes = writer.take();
  live.noteChanges(changes);
  history.noteChanges(live, changes, 1);
  expect(history.entries()).toEqual(compared.entries());
});
