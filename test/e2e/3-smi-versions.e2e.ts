/** The chart's definitions of SMI at an API server: objects of every version, what it refuses, and what the mesh reads. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { admin, apply, eventually, fail, getJson, kubectl } from "./cluster.ts";
import { setAccessControl } from "./install.ts";

const NAMESPACE = "smi-versions";
const ACCOUNT = { kind: "ServiceAccount", name: "web", namespace: NAMESPACE };

const object = (group: string, version: string, kind: string, name: string, body: object) => ({
  apiVersion: `${group}.smi-spec.io/${version}`,
  kind,
  metadata: { name, namespace: NAMESPACE },
  ...body,
});
const specs = (version: string, kind: string, name: string, body: object) => object("specs", version, kind, name, body);
const target = (version: string, name: string, body: object) => object("access", version, "TrafficTarget", name, body);
const split = (version: string, name: string, spec: object) =>
  object("split", version, "TrafficSplit", name, { spec: { service: name, ...spec } });
const service = (name: string) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: NAMESPACE },
  spec: { ports: [{ port: 80 }] },
});

const match = { name: "m", pathRegex: "/a", methods: ["GET"] };
const OBJECTS = [
  ...["one", "two", "root-1", "root-2", "root-3", "root-4"].map(service),
  specs("v1alpha1", "HTTPRouteGroup", "g1", { matches: [match] }),
  specs("v1alpha2", "HTTPRouteGroup", "g2", { matches: [{ ...match, headers: { "x-a": "b" } }] }),
  specs("v1alpha3", "HTTPRouteGroup", "g3", { spec: { matches: [{ ...match, headers: [{ "x-a": "b" }] }] } }),
  specs("v1alpha4", "HTTPRouteGroup", "g4", { spec: { matches: [{ ...match, headers: { "x-a": "b" } }] } }),
  specs("v1alpha1", "TCPRoute", "t1", {}),
  specs("v1alpha2", "TCPRoute", "t2", {}),
  specs("v1alpha3", "TCPRoute", "t3", { spec: {} }),
  specs("v1alpha4", "TCPRoute", "t4", { spec: { matches: { ports: [80] } } }),
  specs("v1alpha4", "UDPRoute", "u4", { spec: { matches: { ports: [53] } } }),
  target("v1alpha1", "a1", {
    destination: { ...ACCOUNT, port: 80 },
    specs: [
      { kind: "HTTPRouteGroup", name: "g1" },
      { kind: "TCPRoute", name: "t1" },
    ],
    sources: [ACCOUNT],
  }),
  target("v1alpha2", "a2", { spec: { destination: ACCOUNT, sources: [ACCOUNT] } }),
  target("v1alpha3", "a3", {
    spec: {
      destination: ACCOUNT,
      rules: [
        { kind: "HTTPRouteGroup", name: "g3" },
        { kind: "TCPRoute", name: "t4" },
        { kind: "UDPRoute", name: "u4" },
      ],
      sources: [ACCOUNT],
    },
  }),
  split("v1alpha1", "root-1", {
    backends: [
      { service: "one", weight: "250m" },
      { service: "two", weight: 1 },
    ],
  }),
  ...["v1alpha2", "v1alpha3", "v1alpha4"].map((version, index) =>
    split(version, `root-${index + 2}`, {
      backends: [
        { service: "one", weight: 1 },
        { service: "two", weight: 4 },
      ],
      ...(version === "v1alpha4" ? { matches: [{ kind: "HTTPRouteGroup", name: "g4" }] } : {}),
    }),
  ),
];

interface Config {
  readonly accessRules: Readonly<
    Record<string, { readonly http?: object; readonly tcp?: object; readonly udp?: object }>
  >;
  readonly servicePorts: Readonly<
    Record<
      string,
      { readonly routes?: readonly { readonly matches: object[]; readonly backends: { weight: number }[] }[] }
    >
  >;
}

const DEFINITIONS = new URL("../../chart/crds/", import.meta.url).pathname;

beforeAll(async () => {
  // Where definitions were there before the chart, Helm has left them.
  await kubectl("apply", "--server-side", "--force-conflicts", "-f", DEFINITIONS);
  await setAccessControl("audit");
  await kubectl("create", "namespace", NAMESPACE);
  await apply(JSON.stringify({ apiVersion: "v1", kind: "List", items: OBJECTS }));
}, 180_000);

afterAll(async () => {
  await kubectl("delete", "namespace", NAMESPACE, "--wait=false");
  await setAccessControl("off");
}, 180_000);

async function inForce(check: (config: Config) => void): Promise<void> {
  await eventually("objects of every version in force", 30, async () => {
    const { config } = await admin<{ config: Config }>("/api/config");
    try {
      check(config);
    } catch (error) {
      fail((error as Error).message);
    }
  });
}

test("objects of every version of SMI are kept whole, and mean what their author's version says", async () => {
  const read = { name: "m", path: { type: "regex", value: "/a" }, methods: ["GET"] };
  const headers = [{ name: "x-a", type: "regex", value: "b" }];
  await inForce(({ accessRules, servicePorts }) => {
    expect(accessRules[`${NAMESPACE}/a1`]).toMatchObject({
      http: { ports: [80], matches: [read] },
      tcp: { ports: [80] },
    });
    expect(accessRules[`${NAMESPACE}/a2`]).toMatchObject({ http: { matches: [] } });
    expect(accessRules[`${NAMESPACE}/a2`]).not.toHaveProperty("tcp");
    expect(accessRules[`${NAMESPACE}/a3`]).toMatchObject({
      http: { ports: [80], matches: [{ ...read, headers }] },
      udp: { ports: [53] },
    });
    expect(accessRules[`${NAMESPACE}/a3`]).not.toHaveProperty("tcp");
    const shares = (root: string) =>
      servicePorts[`${NAMESPACE}/${root}:80`]?.routes?.[0]?.backends.map((b) => b.weight);
    expect(["root-1", "root-2", "root-3", "root-4"].map(shares)).toEqual([
      [250, 1000],
      [1, 4],
      [1, 4],
      [1, 4],
    ]);
    expect(servicePorts[`${NAMESPACE}/root-4:80`]?.routes?.[0]?.matches).toEqual([{ ...read, headers }]);
  });
});

test("a label changes nothing of what an object means, and a new apiVersion by kubectl apply does", async () => {
  await kubectl("-n", NAMESPACE, "label", "traffictarget", "a2", "seen=yes");
  const rules = [
    { kind: "HTTPRouteGroup", name: "g3" },
    { kind: "TCPRoute", name: "t4" },
  ];
  const body = { spec: { destination: ACCOUNT, rules, sources: [ACCOUNT] } };
  await apply(JSON.stringify(target("v1alpha2", "a4", body)));
  await inForce(({ accessRules }) => {
    expect(accessRules[`${NAMESPACE}/a2`]).toMatchObject({ http: { matches: [] } });
    expect(accessRules[`${NAMESPACE}/a4`]).toMatchObject({ tcp: { ports: [80] } });
  });
  await apply(JSON.stringify(target("v1alpha3", "a4", body)));
  await inForce(({ accessRules }) => expect(accessRules[`${NAMESPACE}/a4`]).not.toHaveProperty("tcp"));
});

const backends = [{ service: "one", weight: 1 }];
test.each([
  [
    "a misspelt field",
    specs("v1alpha4", "HTTPRouteGroup", "x", { spec: { matches: [{ name: "m", method: [] }] } }),
    "spec.matches[0].method",
  ],
  [
    "an unknown method",
    specs("v1alpha4", "HTTPRouteGroup", "x", { spec: { matches: [{ name: "m", methods: ["BREW"] }] } }),
    "BREW",
  ],
  [
    "no expression",
    specs("v1alpha3", "HTTPRouteGroup", "x", { spec: { matches: [{ name: "m", pathRegex: "/(a" }] } }),
    "RE2",
  ],
  [
    "two matches of a name",
    specs("v1alpha4", "HTTPRouteGroup", "x", { spec: { matches: [{ name: "m" }, { name: "m" }] } }),
    "Duplicate",
  ],
  [
    "matches in the wrong place",
    specs("v1alpha4", "HTTPRouteGroup", "x", { matches: [], spec: { matches: [] } }),
    "under spec",
  ],
  [
    "ports before v1alpha4",
    specs("v1alpha3", "TCPRoute", "x", { spec: { matches: { ports: [80] } } }),
    "write v1alpha4",
  ],
  [
    "a port that is none",
    specs("v1alpha4", "UDPRoute", "x", { spec: { matches: { ports: [0] } } }),
    "greater than or equal to 1",
  ],
  [
    "v1alpha3 without rules",
    target("v1alpha3", "x", { spec: { destination: ACCOUNT, sources: [ACCOUNT] } }),
    "spec.rules",
  ],
  ["v1alpha1's fields later", target("v1alpha2", "x", { sources: [], spec: { destination: ACCOUNT } }), "under spec"],
  ["the root as backend", split("v1alpha4", "one", { backends }), "cannot be a backend"],
  ["matches before v1alpha3", split("v1alpha2", "two", { backends, matches: [] }), "no matches before v1alpha3"],
  [
    "a weight below 0",
    split("v1alpha4", "two", { backends: [{ service: "one", weight: -1 }] }),
    "greater than or equal to 0",
  ],
  [
    "a weight that is no quantity",
    split("v1alpha1", "two", { backends: [{ service: "one", weight: "lots" }] }),
    "should match",
  ],
])("the API server refuses %s, and says so", async (_, wrong, reason) => {
  await expect(apply(JSON.stringify(wrong))).rejects.toThrow(reason);
});

test("what the API server cannot refuse is an Event on the object", { timeout: 90_000 }, async () => {
  const wrong = { spec: { matches: [{ name: "m", headers: { "x-a": 1 } }] } };
  await apply(JSON.stringify(specs("v1alpha4", "HTTPRouteGroup", "wrong", wrong)));
  await eventually("an Event tells of it", 60, async () => {
    const { items } = await getJson<{ items: { reason: string; message: string; involvedObject: { name: string } }[] }>(
      "events",
      "-n",
      NAMESPACE,
    );
    const told = items.find(({ involvedObject }) => involvedObject.name === "wrong");
    if (told === undefined) fail("none");
    expect([told.reason, told.message]).toEqual([
      "ManifestInvalid",
      expect.stringContaining("spec.matches[0].headers"),
    ]);
  });
});

test("kubectl explain tells of each version's fields", async () => {
  const says = await kubectl(
    "explain",
    "trafficsplit.spec.backends.weight",
    "--api-version=split.smi-spec.io/v1alpha4",
  );
  expect(says).toContain("Its share of the sum of all weights.");
});
