import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { METRIC_KINDS } from "../src/smi-metrics/metric-kinds.ts";
import { chartValues, isLeftOut, type Schema, valuesReference } from "./values-reference.ts";

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
const filesIn = (folder: string): string[] =>
  readdirSync(new URL(`../${folder}`, import.meta.url), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`);

const valuesYaml = read("chart/values.yaml");
const schema = JSON.parse(read("chart/values.schema.json")) as Schema;
const values = chartValues(valuesYaml, schema);
const validator = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
const isTaken = (candidate: unknown): boolean => validator.safeParse(candidate).success;
const templates = filesIn("chart/templates")
  .map((path) => readFileSync(path, "utf8"))
  .join("\n");

test("docs/values.md says what values.yaml and its schema say", async () => {
  await expect(valuesReference(valuesYaml, schema)).toMatchFileSnapshot("../docs/values.md");
});

test("every value is explained, and known to the schema", () => {
  const unexplained = values.filter(({ says, schema: own }) => says === "" || own === undefined);
  expect(unexplained.map(({ path }) => path)).toEqual([]);
});

test("the schema has no value that values.yaml leaves out", () => {
  const paths = (node: Schema, prefix: string): string[] =>
    Object.entries(node.properties ?? {}).flatMap(([name, own]) => {
      if (isLeftOut(own)) return [];
      return own.properties === undefined ? [prefix + name] : paths(own, `${prefix}${name}.`);
    });
  // Helm gives every chart a `global`.
  const known = paths(schema, "").filter((path) => path !== "global");
  expect(known.sort()).toEqual(values.map(({ path }) => path).sort());
});

test("a value of Traefik Mesh's chart that is gone is refused with what there is in its place", () => {
  const leftOut = (node: Schema, prefix: string): string[] =>
    Object.entries(node.properties ?? {}).flatMap(([name, own]) =>
      isLeftOut(own) ? [prefix + name] : leftOut(own, `${prefix}${name}.`),
    );
  const paths = leftOut(schema, "");
  expect(paths).toContain("controller.image");
  for (const path of paths) {
    const names = path.split(".");
    const given = (value: unknown) => names.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value);
    for (const value of [true, "x", 10, {}, { enabled: true }]) expect(isTaken(given(value)), path).toBe(false);
    // Helm shows what a constant would have to be: the schema's only way to a sentence of its own.
    const { const: hint } = names.reduce((node, name) => node.properties?.[name] as Schema, schema);
    expect(hint, path).toMatch(/^left out: \S/);
  }
});

test("the schema takes the defaults", () => {
  expect(validator.safeParse(parse(valuesYaml)).error).toBeUndefined();
});

test.each([
  ["an unknown value", { foo: 1 }],
  ["an unknown value of the proxy", { proxy: { replicas: 2 } }],
  ["a value of Traefik Mesh that is gone", { kubedns: true }],
  ["more entry points than there are ports", { limits: { tcp: 5001 } }],
  ["proxies that there are not", { proxy: { engine: "envoy" } }],
  ["a poll interval without a unit", { proxy: { pollInterval: "1" } }],
  ["an unknown mode of access control", { acl: "maybe" }],
  ["an unknown mode of DNS", { dns: { mode: "Forward" } }],
  ["no replica", { controller: { replicas: 0 } }],
  ["no surge", { proxy: { updateStrategy: { maxSurge: 0 } } }],
  ["a format of the access log that there is not", { proxy: { accessLog: { format: "xml" } } }],
  ["a sampling above 1", { proxy: { accessLog: { sampling: 2 } } }],
  ["a class of statuses that there is not", { proxy: { accessLog: { filters: { status: ["6xx"] } } } }],
  ["what Traefik Mesh's chart had for Jaeger", { tracing: { jaeger: { localAgentHostPort: "jaeger-agent:6831" } } }],
  ["what Traefik Mesh's chart had for Zipkin", { tracing: { zipkin: { httpEndpoint: "http://zipkin:9411" } } }],
  ["a collector that is no URL", { tracing: { endpoint: "collector:4317" } }],
  ["a share of the traces in percent", { tracing: { sampling: 10 } }],
  ["a header that would become two", { tracing: { headers: { "x-a": "1,x-b=2" } } }],
  ["a CA that is not PEM", { smi: { metrics: { caBundle: "LS0tLS1CRUdJTg==" } } }],
  ["an image without a tag", { metrics: { grafana: { image: "localhost:5000/grafana" } } }],
  ["a switch of Traefik Mesh that is gone", { tracing: { deploy: true } }],
  ["a flag that is not one", { proxy: { additionalArguments: ["drain=5"] } }],
])("the schema refuses %s", (_, candidate) => {
  expect(isTaken(candidate)).toBe(false);
});

test.each([
  // What Helm makes of a bare `on` or `off`.
  ["acl: true", { acl: true }],
  ["acl: audit", { acl: "audit" }],
  ["a share of the nodes as surge", { proxy: { updateStrategy: { maxSurge: "10%" } } }],
  ["a registry with a port", { image: { repository: "localhost:5000/tulle", tag: "dev" } }],
  [
    "a status, a class and a range of them",
    { proxy: { accessLog: { filters: { status: [404, "4xx", "500-599"], minDuration: "1.5s" } } } },
  ],
  // What Helm makes of --set tracing.sampling=0.01.
  ["a share of the traces as text", { tracing: { sampling: "0.01", rate: "0.5" } }],
  ["a collector", { tracing: { endpoint: "http://otel:4317", sampling: 0.01, propagators: ["b3", "jaeger"] } }],
  ["an image by digest", { metrics: { prometheus: { image: `localhost:5000/prometheus@sha256:${"0".repeat(64)}` } } }],
  ["alert rules where the cluster knows them", { metrics: { prometheusRule: { enabled: "auto" } } }],
  ["PodMonitors where the cluster knows them", { metrics: { podMonitor: { enabled: "auto" } } }],
  ["Kubernetes' resources", { proxy: { resources: { limits: { cpu: 2, memory: "1Gi" } } } }],
])("the schema takes %s", (_, candidate) => {
  expect(isTaken(candidate)).toBe(true);
});

test("templates use every value, and no other", () => {
  const used = [...templates.matchAll(/\.Values\.([A-Za-z]+(?:\.[A-Za-z]+)*)/g)].map(([, path = ""]) => path);
  // The certificate, made once a rendering, is kept among the values.
  const shared = "tls.made";
  const isKnown = (path: string) =>
    path === shared || values.some((each) => each.path === path || each.path.startsWith(`${path}.`));
  expect(used.filter((path) => !isKnown(path))).toEqual([]);

  const scheduling = ["nodeSelector", "tolerations", "affinity", "priorityClassName"];
  const own = ["logLevel", "logFormat"];
  const isUsed = (path: string) => {
    const [component = "", field = ""] = path.split(".");
    // These two are given to a template by the component.
    if (scheduling.includes(field)) return templates.includes(`include "tulle.scheduling" .Values.${component}`);
    if (own.includes(field)) return templates.includes(`$own.${field}`);
    return used.includes(path);
  };
  expect(values.map(({ path }) => path).filter((path) => !isUsed(path))).toEqual([]);
});

/** Each rule as one line. */
const rightsIn = (path: string): string[] =>
  [...read(path).matchAll(/resources: \[(.*)\]\n(?: *resourceNames: (.*)\n)? *verbs: \[(.*)\]/g)].map(
    ([, resources, names, verbs]) => `${verbs}: ${resources}${names === undefined ? "" : ` ${names}`}`,
  );

// What the code asks of the API server, and no more: a new line here is a decision.
test.each([
  [
    "chart/templates/controller/rbac.yaml",
    [
      "get, list, watch: services, pods",
      "list, watch: nodes",
      "list, watch: endpointslices",
      "get, list, watch: traffictargets",
      "get, list, watch: httproutegroups, tcproutes, udproutes",
      "get, list, watch: trafficsplits",
      "create: events",
      "create: tokenreviews",
      "create, patch, delete: services",
      "create: leases",
      "get, patch: leases [tulle-controller]",
      "get: deployments, daemonsets",
      "create: configmaps",
    ],
  ],
  [
    "chart/templates/controller/smi-metrics.yaml",
    [
      "list: namespaces, replicationcontrollers",
      "list: deployments, replicasets, statefulsets, daemonsets",
      "list: jobs",
      'get, list: "*"',
    ],
  ],
  ["chart/templates/monitoring/prometheus.yaml", ["get, list, watch: pods"]],
  [
    "chart/templates/_helpers.tpl",
    [
      "get, list: deployments, daemonsets",
      'get, patch: configmaps {{ include "tulle.dnsConfigMaps" . }}',
      "delete: configmaps [coredns-custom, kube-dns]",
      "patch: deployments, daemonsets [coredns, kube-dns, rke2-coredns-rke2-coredns]",
      "get, patch: dnses [default]",
    ],
  ],
  [
    "chart/templates/hooks/cleanup.yaml",
    [
      "patch: deployments/scale [tulle-controller]",
      "list: pods",
      "delete: pods [tulle-test]",
      "get, list, delete: services",
      "delete: leases [tulle-controller]",
    ],
  ],
])("the rights in %s are those that are used", (path, rights) => {
  expect(rightsIn(path)).toEqual(rights);
});

test("who may view a namespace may see the TrafficMetrics of all kinds in it, and none of their edges", () => {
  const [, kinds = ""] = /define "tulle.smiMetricKinds" -}}\n\[(.*)\]/.exec(templates) ?? [];
  const namespaced = METRIC_KINDS.filter((each) => each.namespaced).map(({ plural }) => plural);
  expect(kinds.split(", ")).toEqual(namespaced);
});

test("the chart is of the program's version", () => {
  const { version } = JSON.parse(read("package.json")) as { version: string };
  const { version: chartVersion, appVersion } = parse(read("chart/Chart.yaml")) as Record<string, string>;
  expect([chartVersion, appVersion]).toEqual([version, version]);
});

interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: { readonly plural: string };
    readonly conversion: { readonly strategy: string };
    readonly versions: readonly {
      readonly name: string;
      readonly served: boolean;
      readonly storage: boolean;
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}
const definitions = filesIn("chart/crds")
  .filter((path) => path.endsWith(".yaml"))
  .map((path) => parse(readFileSync(path, "utf8")) as Definition);

test("SMI's definitions serve every published version, and store the original's", () => {
  const rows = definitions.map(({ spec }) => [
    `${spec.names.plural}.${spec.group}`,
    spec.versions
      .filter(({ served }) => served)
      .map(({ name }) => name.replace("v1alpha", ""))
      .join(""),
    spec.versions
      .filter(({ storage }) => storage)
      .map(({ name }) => name)
      .join(" "),
  ]);
  expect(rows.sort()).toEqual([
    ["httproutegroups.specs.smi-spec.io", "1234", "v1alpha3"],
    ["tcproutes.specs.smi-spec.io", "1234", "v1alpha3"],
    ["trafficsplits.split.smi-spec.io", "1234", "v1alpha3"],
    ["traffictargets.access.smi-spec.io", "123", "v1alpha2"],
    ["udproutes.specs.smi-spec.io", "4", "v1alpha4"],
  ]);
  expect(definitions.map(({ metadata }) => metadata.name).sort()).toEqual(rows.map(([name]) => name));
});

test("SMI's definitions describe every field, as kubectl explain shows them", () => {
  const bare = (node: Schema & { description?: string }, path: string): string[] => [
    ...(node.description === undefined ? [path] : []),
    ...Object.entries(node.properties ?? {}).flatMap(([name, own]) => bare(own, `${path}.${name}`)),
    ...(node.items === undefined ? [] : bare(node.items, `${path}[]`)),
  ];
  for (const { metadata, spec } of definitions)
    for (const { name, schema } of spec.versions)
      expect(bare(schema.openAPIV3Schema, ""), `${metadata.name} ${name}`).toEqual([]);
});

test("a label on an object of an older version asks nothing of it that its version did not", () => {
  // What stands in allOf and its like is judged even where the spec stays as it was.
  for (const { metadata, spec } of definitions)
    expect(JSON.stringify(spec.versions), metadata.name).not.toMatch(/"(allOf|oneOf|not)":/);
});

test("no version of SMI's definitions prunes a field that another has", () => {
  const fields = (node: Schema, prefix: string): string[] =>
    Object.entries({ ...node.properties, ...(node.items && { "[]": node.items }) }).flatMap(([name, own]) => [
      prefix + name,
      ...fields(own, `${prefix}${name}.`),
    ]);
  for (const { metadata, spec } of definitions) {
    expect(spec.conversion.strategy).toBe("None");
    const [first = [], ...others] = spec.versions.map((version) => fields(version.schema.openAPIV3Schema, "").sort());
    for (const other of others) expect(other, metadata.name).toEqual(first);
  }
});
