/** Values of Traefik Mesh's chart, however they are spelt, against the chart that takes what becomes of them. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { z } from "zod";
import { parseValues } from "../src/cli/helm-values.ts";
import { valuesFile } from "../src/cli/migrate-text.ts";
import { planMigration } from "../src/migrate/migration.ts";
import { isTree, type Values, valueAt } from "../src/migrate/value-tree.ts";
import { ClusterState } from "../src/model/cluster-state.ts";

const schema: unknown = JSON.parse(readFileSync(new URL("../chart/values.schema.json", import.meta.url), "utf8"));
const validator = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);

/** Ways to write a switch into a file of values, and what Helm makes of each. */
const SWITCHES: readonly (readonly [spelling: string, truth: boolean])[] = [
  ...["true", "True", "TRUE", "on", "On", "yes", "YES", "y", "1", '"true"', '"false"', "'off'", "no way"].map(
    (spelling) => [spelling, true] as const,
  ),
  ...["false", "False", "off", "Off", "no", "n", "0", '""', "null", "~"].map((spelling) => [spelling, false] as const),
];

/** Stands for a switch until the file is text. */
const spelt = fc.constantFrom(...SWITCHES).map(([spelling]) => `SPELT<${spelling}>`);
const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
// Words that YAML 1.1 reads as something else, too.
const word = fc.oneof(name, fc.constantFrom("on", "off", "yes", "no", "y", "n", "null", "010", "1:30", "1e3"));
const level = fc.constantFrom("panic", "fatal", "error", "warning", "warn", "info", "debug", "trace", "INFO");
const format = fc.constantFrom("common", "json");
const quantity = fc.oneof(fc.constantFrom("100Mi", "2Gi", "200m", "1.5", "500M"), fc.integer({ min: 1, max: 64 }));
const duration = fc.constantFrom("1s", "500ms", "0s", "1m30s");
const strings = fc.dictionary(name, word, { maxKeys: 2 });
const port = fc.integer({ min: 1, max: 65535 });
const host = fc.tuple(name, port).map(([own, number]) => `${own}.obs:${number}`);
const names = fc.oneof(
  fc.array(name, { maxLength: 3 }),
  fc.array(name, { minLength: 1, maxLength: 3 }).map((all) => all.join(",")),
);
const some = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(shape, { requiredKeys: [] });
const figures = some({ mem: quantity, cpu: quantity });
const resources = fc.oneof(
  some({ limit: figures, request: figures }),
  some({ limits: some({ memory: quantity, cpu: quantity }), requests: some({ memory: quantity, cpu: quantity }) }),
);
const image = some({
  name: name.map((own) => `registry:5000/${own}`),
  tag: word,
  pullPolicy: fc.constantFrom("Always", "IfNotPresent", "Never"),
  pullSecret: name,
  pullSecrets: fc.array(fc.oneof(name, fc.record({ name })), { maxLength: 2 }),
});
const toleration = some({ key: name, operator: fc.constantFrom("Exists", "Equal"), value: word });
const variable = fc.record({ name: fc.constantFrom("GODEBUG", "JAEGER_TAGS", "HTTP_PROXY"), value: word });
const pods = {
  resources,
  logLevel: level,
  logFormat: format,
  image,
  nodeSelector: strings,
  tolerations: fc.array(toleration, { maxLength: 2 }),
  annotations: strings,
  podAnnotations: strings,
};
const argument = fc.oneof(
  fc.constantFrom("true", "false", "1", "0", "F", "TRUE").map((value) => `--accesslog=${value}`),
  format.map((value) => `--accesslog.format=${value}`),
  fc.constantFrom("404", "404,500-599").map((value) => `--accesslog.filters.statuscodes=${value}`),
  fc.constantFrom("10ms", "2").map((value) => `--accesslog.filters.minduration=${value}`),
  fc.constantFrom("--accesslog.filters.retryattempts", "--accesslog", "--serversTransport.insecureSkipVerify=False"),
  level.map((value) => `--log.level=${value.toUpperCase()}`),
  name.map((value) => `--experimental.${value}=x`),
);
const anything = fc.oneof(word, port, spelt, strings, fc.array(word, { maxLength: 2 }));

const originals = some({
  acl: spelt,
  smi: spelt,
  kubedns: spelt,
  clusterDomain: fc.constantFrom("cluster.local", "corp.local"),
  defaultMode: fc.constantFrom("http", "tcp", "udp"),
  logLevel: level,
  logFormat: format,
  limits: some({ http: port, tcp: port, udp: port }),
  controller: some({ ...pods, watchNamespaces: names, ignoreNamespaces: names, affinity: fc.constant({}) }),
  proxy: some({
    ...pods,
    pollInterval: duration,
    pollTimeout: duration,
    forwardingTimeouts: some({ dialTimeout: duration, responseHeaderTimeout: duration, idleConnTimeout: duration }),
    env: fc.array(variable, { maxLength: 2 }),
    envFrom: fc.array(fc.record({ secretRef: fc.record({ name }) }), { maxLength: 1 }),
    additionalArguments: fc.array(argument, { maxLength: 3 }),
  }),
  tracing: some({
    deploy: spelt,
    jaeger: some({ enabled: spelt, localAgentHostPort: host, samplingServerURL: host.map((own) => `http://${own}/x`) }),
    zipkin: some({
      httpEndpoint: host.map((own) => `http://${own}/api/v2/spans`),
      sameSpan: spelt,
      sampleRate: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom("0.2", "1")),
    }),
    datadog: some({ localAgentHostPort: host, debug: spelt, globalTag: word }),
    instana: some({ localAgentHost: name, localAgentPort: port }),
    haystack: some({ localAgentHost: name, localAgentPort: port }),
    image: some({ jaeger: name }),
  }),
  metrics: some({
    deploy: spelt,
    prometheus: some({ enabled: spelt, addServiceLabels: spelt, buckets: word, storageClassName: name, resources }),
    grafana: some({ resources, storageClassName: name, service: strings }),
    influxdb: some({ address: host, password: word }),
  }),
  mine: anything,
});

/** As somebody wrote it by hand. */
const fileOf = (values: Values) =>
  stringify(values, { version: "1.1", lineWidth: 0 }).replace(/"?SPELT<(.*?)>"?/g, (_, spelling: string) =>
    spelling.replaceAll('\\"', '"'),
  );

function migrate(file: string) {
  const values = parseValues(file) ?? {};
  return planMigration({ state: ClusterState.of([]), workloads: [], values });
}

/** Of `SPELT<on>`; not set: undefined. */
function truthAt(values: Values, path: string): boolean | undefined {
  const given = valueAt(values, path);
  return given === undefined ? undefined : SWITCHES.find(([spelling]) => given === `SPELT<${spelling}>`)?.[1];
}

test("whatever the old values were, the chart takes the new ones", () => {
  fc.assert(
    fc.property(originals, (values) => {
      const migration = migrate(fileOf(values));
      expect(validator.safeParse(migration.values).error).toBeUndefined();
      // Helm has no other reader than this.
      expect(parseValues(valuesFile(migration))).toEqual(migration.values);
    }),
    { numRuns: 500 },
  );
});

test("however access control was switched, report and file say what Helm read", () => {
  fc.assert(
    fc.property(originals, (values) => {
      const wasOn = truthAt(values, "acl") === true || truthAt(values, "smi") === true;
      const migration = migrate(fileOf(values));
      expect(migration.access).toBe(wasOn ? "on" : "off");
      expect(migration.settings.acl).toBe(wasOn);
      expect(valueAt(migration.values, "acl")).toBe(wasOn ? "on" : "off");
    }),
    { numRuns: 500 },
  );
});

test("every value that was set is in the new file, told, or not needed", () => {
  fc.assert(
    fc.property(originals, (values) => {
      const { mine } = parseValues(fileOf(values)) ?? {};
      const { differences } = migrate(fileOf(values));
      const isSet = mine !== undefined && mine !== null && !(isTree(mine) && Object.keys(mine).length === 0);
      expect(differences.some(({ code }) => code === "ValueUnknown")).toBe(isSet);
    }),
  );
});
