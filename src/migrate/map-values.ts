/**
 * From the values of Traefik Mesh's chart to those of Tulle's. Every value that is set is either in the result, or is
 * not needed any more, or is told as a difference.
 */
import type { ObjectRef } from "../model/objects.ts";
import type { OriginalAccess } from "./access-control.ts";
import { type Difference, type DifferenceCode, difference } from "./difference.ts";
import { logLevel, mapFlag, proxyFlags } from "./proxy-arguments.ts";
import { shownFlag, shownValue } from "./shown-value.ts";
import { isTree, isTruthy, leavesOf, textsOf, type Values, ValueTree, valueAt } from "./value-tree.ts";

export interface MappedValues {
  readonly values: Values;
  readonly differences: readonly Difference[];
}

const FILE: ObjectRef = { kind: "Values", namespace: "", name: "traefik-mesh" };

type Lose = (code: DifferenceCode, detail: string) => void;
interface Leaf {
  readonly path: string;
  readonly value: unknown;
  readonly to: ValueTree;
  readonly lose: Lose;
}
type Rule = (leaf: Leaf) => void;

/** The same name and form. */
const same: Rule = ({ path, value, to }) => to.set(path, value);
const text: Rule = ({ path, value, to }) => to.set(path, String(value));
const level: Rule = ({ path, value, to }) => to.set(path, logLevel(String(value)));
const list: Rule = ({ path, value, to }) => to.set(path, textsOf(value));
/** Read as a whole elsewhere: by accessOf, or by addParts. */
const taken: Rule = () => {};
/** What it was for is done in another way, or by itself. */
const needless =
  (why: string): Rule =>
  ({ lose }) =>
    lose("ValueNeedless", why);
const lost =
  (why: string): Rule =>
  ({ path, value, lose }) =>
    lose("ValueLost", `${shownValue(path, value)}, ${why}`);
const endpoint =
  (port: number): Rule =>
  ({ path, value, to, lose }) => {
    const host = String(value).replace(/:\d+$/, "");
    to.set("tracing.endpoint", `http://${host}:${port}`);
    lose("TracerSpeaksOtlp", `${path.split(".")[1]} at ${String(value)}`);
  };
const sampling: Rule = ({ value, to }) => {
  const share = Number(value);
  if (share >= 0 && share <= 1) to.set("tracing.sampling", share);
};
const byService = "it is by Service in Tulle: annotations tulle.dev/connect-timeout, request-timeout and idle-timeout";
const onlyPrometheus = "Prometheus is what Tulle speaks: docs/metrics.md";
const noLimits = "Tulle's own proxies open what they need";
const noPolls = "Tulle's own proxies hear of a change at once";
const ownImage = "the chart has an image that goes with it";
const givenImage = "the image is Tulle's: --set image.repository=REGISTRY/tulle,image.tag=TAG";

/** Paths with `*` are of whatever is below; these come after the exact ones. */
const RULES: readonly (readonly [string, Rule])[] = [
  ["acl", taken],
  ["smi", taken],
  ["kubedns", needless("what the cluster has for DNS is found out")],
  ["clusterDomain", text],
  ["defaultMode", text],
  ["logLevel", level],
  ["logFormat", text],
  ["limits.*", needless(noLimits)],
  ["controller.logLevel", level],
  ["controller.logFormat", text],
  ["controller.watchNamespaces", list],
  ["controller.ignoreNamespaces", list],
  ["controller.image.pullPolicy", ({ value, to }) => to.set("image.pullPolicy", value)],
  ["controller.image.pullSecret", pullSecret],
  ["controller.image.pullSecrets", pullSecret],
  ["controller.image.*", needless(givenImage)],
  ["controller.resources", resources],
  ["controller.nodeSelector", same],
  ["controller.tolerations", same],
  ["controller.affinity", same],
  ["controller.annotations", same],
  ["controller.podAnnotations", same],
  ["proxy.logLevel", level],
  ["proxy.logFormat", text],
  ["proxy.image.pullSecret", pullSecret],
  ["proxy.image.pullSecrets", pullSecret],
  ["proxy.image.*", needless(givenImage)],
  ["proxy.pollInterval", needless(noPolls)],
  ["proxy.pollTimeout", needless(noPolls)],
  ["proxy.forwardingTimeouts.*", lost(byService)],
  ["proxy.env", environment],
  ["proxy.envFrom", same],
  ["proxy.additionalArguments", flags],
  ["proxy.resources", resources],
  ["proxy.nodeSelector", same],
  ["proxy.tolerations", same],
  ["proxy.annotations", same],
  ["proxy.podAnnotations", same],
  ["tracing.deploy", taken],
  ["tracing.jaeger.enabled", taken],
  ["tracing.jaeger.localAgentHostPort", endpoint(4317)],
  ["tracing.jaeger.samplingServerURL", lost("tracing.sampling is the share of traces that are recorded")],
  [
    "tracing.zipkin.httpEndpoint",
    ({ value, to }) => {
      to.set("tracing.endpoint", String(value).replace(/\/api\/v[12]\/spans\/?$/, ""));
      to.set("tracing.protocol", "zipkin");
    },
  ],
  ["tracing.zipkin.sampleRate", sampling],
  ["tracing.zipkin.*", needless("the form of spans is fixed: docs/tracing.md")],
  ["tracing.datadog.localAgentHostPort", endpoint(4317)],
  ["tracing.datadog.*", lost("the agent's own settings have these")],
  ["tracing.instana.localAgentHost", endpoint(4317)],
  ["tracing.instana.*", lost("the agent's own settings have these")],
  ["tracing.haystack.*", lost("Tulle does not speak to Haystack")],
  ["tracing.image.*", lost(ownImage)],
  ["tracing.*", lost("docs/tracing.md has what there is")],
  ["metrics.deploy", taken],
  ["metrics.prometheus.enabled", taken],
  ["metrics.prometheus.storageClassName", same],
  ["metrics.prometheus.resources", resourcesOfPart],
  ["metrics.prometheus.service", lost("port-forward to it, or give it an Ingress")],
  ["metrics.prometheus.*", lost("labels and buckets are fixed: docs/metrics.md")],
  ["metrics.grafana.resources", resourcesOfPart],
  ["metrics.grafana.service", lost("port-forward to it, or give it an Ingress")],
  ["metrics.grafana.storageClassName", lost("its dashboards are files, so it keeps nothing")],
  ["metrics.image.*", lost(ownImage)],
  ["metrics.datadog.*", lost(onlyPrometheus)],
  ["metrics.influxdb.*", lost(onlyPrometheus)],
  ["metrics.statsd.*", lost(onlyPrometheus)],
];

/** Trees that are one value. */
const WHOLE = new Set([
  ...["controller", "proxy"].flatMap((component) =>
    ["resources", "nodeSelector", "affinity", "annotations", "podAnnotations"].map((name) => `${component}.${name}`),
  ),
  "metrics.prometheus.resources",
  "metrics.grafana.resources",
  "metrics.prometheus.service",
  "metrics.grafana.service",
]);

/** Where spans went: the first of these that is set is where they go. */
const TRACERS = [
  "tracing.zipkin.httpEndpoint",
  "tracing.jaeger.localAgentHostPort",
  "tracing.datadog.localAgentHostPort",
  "tracing.instana.localAgentHost",
];

/**
 * @param given what the user set, as `helm get values` prints it; the chart's defaults are known here
 * @param access what `acl` and `smi` come to; not known: it is left to the user
 */
export function mapValues(given: Values, access: OriginalAccess): MappedValues {
  const values = renamed(given);
  const to = new ValueTree();
  const differences: Difference[] = [];
  const tracer = TRACERS.find((path) => isSet(valueAt(values, path)));
  if (access === "unknown") differences.push(difference("AccessControlUnknown", FILE, "acl", ""));
  else to.set("acl", access);
  for (const [path, value] of leavesOf(values, (each) => WHOLE.has(each))) {
    const rule = ruleOf(path);
    const field = writtenAs(path, given, rule !== undefined);
    const lose: Lose = (code, detail) => differences.push(difference(code, FILE, field, detail));
    if (rule === undefined) lose("ValueUnknown", shownValue(path, value));
    else if (TRACERS.includes(path) && path !== tracer)
      lose("TracerLost", `${shownValue(path, value)}; the new file has the one of ${tracer}`);
    else rule({ path, value, to, lose });
  }
  addParts(values, to);
  return { values: to.values, differences };
}

function ruleOf(path: string): Rule | undefined {
  const found = RULES.find(([pattern]) =>
    pattern.endsWith(".*") ? path.startsWith(pattern.slice(0, -1)) : pattern === path,
  );
  return found?.[1];
}

/** Before its version 3 the chart called the proxies `mesh`. */
function renamed({ mesh, ...values }: Values): Values {
  return isTree(mesh) ? { ...values, proxy: { ...mesh, ...(isTree(values["proxy"]) ? values["proxy"] : {}) } } : values;
}

/** As the user's file names it. */
function writtenAs(path: string, given: Values, isKnown: boolean): string {
  const old = path.replace(/^proxy\./, "mesh.");
  if (old === path || isSet(valueAt(given, path)) || !isSet(valueAt(given, old))) return path;
  return isKnown ? `${old} (now ${path})` : old;
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Jaeger, Prometheus and Grafana come by themselves with the original's chart. */
function addParts(values: Values, to: ValueTree): void {
  // A part's `deploy` is a condition of Helm's, to which nothing but false means no.
  const isDeployed = (part: string, enabled: string) => {
    const switched = valueAt(values, enabled);
    return valueAt(values, `${part}.deploy`) !== false && (switched === undefined || isTruthy(switched));
  };
  const tracesElsewhere = to.get("tracing.endpoint") !== undefined;
  if (isDeployed("tracing", "tracing.jaeger.enabled") && !tracesElsewhere) to.set("tracing.jaeger.enabled", true);
  if (isDeployed("metrics", "metrics.prometheus.enabled")) {
    to.set("metrics.prometheus.enabled", true);
    to.set("metrics.prometheus.storageSize", "10Gi");
    to.set("metrics.grafana.enabled", true);
  }
}

function pullSecret({ value, to }: Leaf): void {
  const names = (Array.isArray(value) ? value : [value]).map((each: unknown) =>
    isTree(each) ? String(each["name"]) : String(each),
  );
  const known = (to.get("imagePullSecrets") ?? []) as { name: string }[];
  const all = new Set([...known.map(({ name }) => name), ...names]);
  to.set(
    "imagePullSecrets",
    [...all].map((name) => ({ name })),
  );
}

/** The same programs as before: their figures stay, with Kubernetes' names. */
function resourcesOfPart({ path, value, to }: Leaf): void {
  if (!isTree(value)) return;
  for (const kind of ["limit", "request"] as const)
    for (const long of ["memory", "cpu"] as const) {
      const figure = figureOf(value, kind, long);
      if (figure !== undefined) to.set(`${path}.${kind}s.${long}`, figure);
    }
}

/** `limit.mem` and the like, and Kubernetes' own. */
function figureOf(value: Values, kind: "limit" | "request", long: "memory" | "cpu"): string | undefined {
  const short = long === "memory" ? "mem" : long;
  const found = valueAt(value, `${kind}.${short}`) ?? valueAt(value, `${kind}s.${long}`);
  return found === undefined || found === null ? undefined : String(found);
}

/** Traefik's figures say little of what Tulle needs: more is kept. */
function resources({ path, value, to, lose }: Leaf): void {
  if (!isTree(value)) return;
  const needs = NEEDS[path.startsWith("proxy") ? "proxy" : "controller"];
  const keep = (kind: "limit" | "request", long: "memory" | "cpu", least: string) => {
    const wanted = figureOf(value, kind, long);
    if (wanted === undefined) return;
    if (quantity(wanted) > quantity(least)) to.set(`${path}.${kind}s.${long}`, wanted);
    else if (quantity(wanted) < quantity(least))
      lose("ResourcesTooSmall", `${kind} of ${long} ${wanted}, where Tulle's chart has ${least}`);
  };
  keep("request", "cpu", needs.cpu);
  keep("request", "memory", needs.memory);
  keep("limit", "memory", needs.memoryLimit);
  const cpu = figureOf(value, "limit", "cpu");
  if (cpu !== undefined) lose("ResourcesTooSmall", `limit of cpu ${cpu}`);
  // Kubernetes refuses a limit below the request.
  const requested = to.get(`${path}.requests.memory`);
  const limit = String(to.get(`${path}.limits.memory`) ?? needs.memoryLimit);
  if (requested !== undefined && quantity(String(requested)) > quantity(limit))
    to.set(`${path}.limits.memory`, requested);
}

/** Of Tulle's chart. */
const NEEDS = {
  controller: { cpu: "100m", memory: "128Mi", memoryLimit: "512Mi" },
  proxy: { cpu: "100m", memory: "256Mi", memoryLimit: "1Gi" },
};

/** NaN, which is above nothing, for what is no quantity of Kubernetes. */
function quantity(text: string): number {
  const [, number = "", unit = ""] = /^([\d.]+)(m|[kKMGT]i?|)$/.exec(text) ?? [];
  return number === "" ? Number.NaN : Number(number) * (UNITS[unit] ?? Number.NaN);
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

function environment({ value, to, lose }: Leaf): void {
  const variables = (Array.isArray(value) ? value : []).filter(isTree);
  const isTraefiks = (name: string) => /^(?:TRAEFIK|JAEGER|DD|HAYSTACK|INSTANA)_/.test(name);
  const kept = variables.filter(({ name }) => !isTraefiks(String(name)));
  if (kept.length > 0) to.set("proxy.env", kept);
  for (const { name } of variables) if (isTraefiks(String(name))) lose("VariableLost", String(name));
}

function flags({ value, to, lose }: Leaf): void {
  for (const flag of proxyFlags(textsOf(Array.isArray(value) ? value : [value]))) {
    const why = mapFlag(flag, to);
    if (why !== "") lose("ArgumentLost", `${shownFlag(flag.text)}, ${why}`);
  }
}
