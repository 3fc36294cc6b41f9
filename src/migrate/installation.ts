/**
 * An installation of Traefik Mesh, told from its own Deployment and DaemonSet: the values that would have made them. What
 * they do not show (an image's tag that was the default, say) is not in there.
 */
import { isFlagOn, isOfChart, proxyFlags } from "./proxy-arguments.ts";
import { isTree, type Values, ValueTree, valueAt } from "./value-tree.ts";

/** An object as the API server or a file has it. */
export interface RawObject {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly raw: Values;
}

export interface Installation {
  readonly namespace: string;
  readonly values: Values;
  /** The controller may have options from where this does not look: a config file, a ConfigMap, a Secret. */
  readonly readsMore: boolean;
}

interface Container {
  readonly name: string;
  readonly flags: readonly string[];
  readonly env: readonly Values[];
  readonly raw: Values;
}

const LOOKED_AT = ["Deployment", "DaemonSet", "CustomResourceDefinition"];

/** What of an object, or a list of objects, the installation is told from. */
export function rawObjects(raw: unknown): RawObject[] {
  if (!isTree(raw)) return [];
  const { kind, items, metadata } = raw;
  if (typeof kind === "string" && kind.endsWith("List") && Array.isArray(items)) return items.flatMap(rawObjects);
  if (typeof kind !== "string" || !LOOKED_AT.includes(kind) || !isTree(metadata)) return [];
  const namespace = kind === "CustomResourceDefinition" ? "" : String(metadata["namespace"] ?? "default");
  return [{ kind, namespace, name: String(metadata["name"] ?? ""), raw }];
}

/** In the order of their namespaces. */
export function findInstallations(objects: readonly RawObject[]): Installation[] {
  const controllers = objects.filter(
    ({ kind, name }) => kind === "Deployment" && /^(?:traefik-mesh|maesh)-controller$/.test(name),
  );
  return controllers
    .map(({ namespace, raw }): Installation => {
      const within = objects.filter((object) => object.namespace === namespace);
      const values = new ValueTree();
      ofController(raw, values);
      const proxy = within.find(
        ({ kind, name }) => kind === "DaemonSet" && /^(?:traefik-mesh-proxy|maesh-mesh)$/.test(name),
      );
      if (proxy !== undefined) ofProxy(proxy.raw, values);
      const has = (name: string) => within.some((object) => object.kind === "Deployment" && object.name === name);
      if (!has("jaeger")) values.set("tracing.deploy", false);
      if (!has("prometheus-core")) values.set("metrics.deploy", false);
      return { namespace, values: values.values, readsMore: readsMore(raw) };
    })
    .sort((a, b) => (a.namespace < b.namespace ? -1 : 1));
}

/** Flags of the original by small letters, and the value each has in its chart. */
const CONTROLLER_FLAGS: Readonly<Record<string, string>> = {
  acl: "acl",
  smi: "smi",
  defaultmode: "defaultMode",
  loglevel: "logLevel",
  logformat: "logFormat",
  clusterdomain: "clusterDomain",
  watchnamespaces: "controller.watchNamespaces",
  ignorenamespaces: "controller.ignoreNamespaces",
  limithttpport: "limits.http",
  limittcpport: "limits.tcp",
  limitudpport: "limits.udp",
};
const LISTS = ["controller.watchNamespaces", "controller.ignoreNamespaces"];
const SWITCHES = ["acl", "smi"];

function ofController(deployment: Values, values: ValueTree): void {
  // The init container is told the cluster's domain, the controller all else.
  for (const { flags, env } of [...containersOf(deployment, "initContainers"), ...containersOf(deployment)]) {
    for (const [name, value] of [...variablesOf(env), ...pairsOf(flags)]) {
      const path = CONTROLLER_FLAGS[name];
      if (path === undefined) continue;
      if (LISTS.includes(path)) {
        const known = (values.get(path) ?? []) as string[];
        values.set(
          path,
          [...new Set([...known, ...value.split(",")])].filter((each) => each !== ""),
        );
      } else if (SWITCHES.includes(path)) values.set(path, isFlagOn(value));
      else values.set(path, path.startsWith("limits.") ? Number(value) : value);
    }
  }
  ofPods(deployment, "controller", values);
}

function readsMore(controller: Values): boolean {
  return containersOf(controller).some(({ flags, env, raw }) => {
    const named = [...variablesOf(env), ...pairsOf(flags)].some(([name]) => name === "configfile");
    const isElsewhere = ({ name, valueFrom }: Values) => OPTION.test(String(name)) && valueFrom !== undefined;
    return named || env.some(isElsewhere) || (Array.isArray(raw["envFrom"]) && raw["envFrom"].length > 0);
  });
}

function ofProxy(daemonSet: Values, values: ValueTree): void {
  const [container] = containersOf(daemonSet);
  const flags = proxyFlags(container?.flags ?? []);
  const own = flags.filter((flag) => !isOfChart(flag)).map(({ text }) => text);
  if (own.length > 0) values.set("proxy.additionalArguments", own);
  for (const { name, value } of flags) {
    if (name === "log.level") values.set("proxy.logLevel", value);
    const [, path] = /^serverstransport\.forwardingtimeouts\.(\w+)$/.exec(name) ?? [];
    if (path !== undefined) values.set(`proxy.forwardingTimeouts.${TIMEOUTS[path] ?? path}`, value);
    const [, tracer, setting] = /^tracing\.(zipkin|datadog|instana|haystack|jaeger)\.(\w+)$/.exec(name) ?? [];
    const known = setting === undefined ? undefined : TRACING[setting];
    if (tracer !== undefined && known !== undefined && tracer !== "jaeger")
      values.set(`tracing.${tracer}.${known}`, value);
  }
  if (container !== undefined && container.env.length > 0) values.set("proxy.env", container.env);
  const from = container?.raw["envFrom"];
  if (Array.isArray(from) && from.length > 0) values.set("proxy.envFrom", from);
  ofPods(daemonSet, "proxy", values);
}

/** Traefik's flags in small letters, as the chart writes them. */
const TIMEOUTS: Readonly<Record<string, string>> = {
  dialtimeout: "dialTimeout",
  responseheadertimeout: "responseHeaderTimeout",
  idleconntimeout: "idleConnTimeout",
};
const TRACING: Readonly<Record<string, string>> = {
  httpendpoint: "httpEndpoint",
  samplerate: "sampleRate",
  localagenthostport: "localAgentHostPort",
  localagenthost: "localAgentHost",
};

function ofPods(workload: Values, component: string, values: ValueTree): void {
  const spec = valueAt(workload, "spec.template.spec");
  if (!isTree(spec)) return;
  for (const field of ["nodeSelector", "tolerations", "affinity"]) {
    const value = spec[field];
    const isEmpty = Array.isArray(value) ? value.length === 0 : !isTree(value) || Object.keys(value).length === 0;
    if (!isEmpty) values.set(`${component}.${field}`, value);
  }
  const secrets = spec["imagePullSecrets"];
  if (Array.isArray(secrets) && secrets.length > 0) values.set(`${component}.image.pullSecrets`, secrets);
}

function containersOf(workload: Values, field = "containers"): Container[] {
  const found = valueAt(workload, `spec.template.spec.${field}`);
  return (Array.isArray(found) ? found : []).filter(isTree).map((raw) => ({
    name: String(raw["name"] ?? ""),
    flags: (Array.isArray(raw["args"]) ? raw["args"] : []).map(String),
    env: (Array.isArray(raw["env"]) ? raw["env"] : []).filter(isTree),
    raw,
  }));
}

/** `--name=value`, `--name value` and `--name`. */
function pairsOf(flags: readonly string[]): [name: string, value: string][] {
  return flags.flatMap((flag, index): [string, string][] => {
    const [, name, value] = /^--?([A-Za-z]+)(?:=(.*))?$/s.exec(flag) ?? [];
    if (name === undefined) return [];
    const next = flags[index + 1];
    const apart = next !== undefined && !next.startsWith("-") ? next : "true";
    return [[name.toLowerCase(), value ?? apart]];
  });
}

const OPTION = /^(?:TRAEFIK_MESH|MAESH)_([A-Z]+)$/;

function variablesOf(env: readonly Values[]): [name: string, value: string][] {
  return env.flatMap(({ name, value }): [string, string][] => {
    const [, flag] = OPTION.exec(String(name)) ?? [];
    return flag === undefined || value === undefined ? [] : [[flag.toLowerCase(), String(value)]];
  });
}
