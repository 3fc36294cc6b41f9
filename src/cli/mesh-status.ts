/** What runs where and what it has in force; and what of that is not as it must be, with the remedy. */
import { type AccessMode, type MeshConfig, splitAddressPort } from "../config/mesh-config.ts";

export interface ControllerState {
  readonly name: string;
  readonly ready: boolean;
  readonly ending: boolean;
  /** Why it does not run; "" where it does. */
  readonly waits: string;
  readonly ageSeconds: number;
  readonly image: string;
  /** Why it could not be asked; "" where it was, and for one that does not run. */
  readonly silent: string;
  /** What it said of itself; absent where it was not asked, or did not answer. */
  readonly said?: ControllerSaid;
}

export interface ControllerSaid {
  /** Version of the program. */
  readonly program: string;
  /** Of the configuration that it serves; "" before the first. */
  readonly version: string;
  /** Name of the replica that leads, "" for none. */
  readonly leader: string;
  readonly leads: boolean;
  readonly pendingShadows: number;
  /** What it cannot read of the cluster. */
  readonly troubles: readonly string[];
  readonly dns: DnsState;
}

export interface DnsState {
  readonly mode: string;
  readonly provider: string;
  readonly inForce: boolean;
  /** Namespace of the mesh that has the mesh names; "" where nobody said. */
  readonly owner: string;
  /** Nothing of that mesh is there any more. */
  readonly ownerGone: boolean;
  /** Why a take-over that was asked for has not happened yet. */
  readonly waitsFor: readonly string[];
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
}

export interface ProxyState {
  readonly name: string;
  readonly node: string;
  readonly ready: boolean;
  readonly draining: boolean;
  readonly waits: string;
  readonly ageSeconds: number;
  readonly image: string;
  /** Of the configuration in force; "" where it has none, or is not heard. */
  readonly version: string;
  /** It has what the controllers serve; absent where no controller said. */
  readonly programmed?: boolean;
  /** It hears a controller. */
  readonly connected: boolean;
  /** How long it has not heard one; absent where that is not known. */
  readonly silentSeconds?: number;
  /** From the configuration to its being in force, of the last one. */
  readonly lagMs?: number;
  /** Why it refused the last one; "" where it did not. */
  readonly error: string;
  readonly closedEntrypoints: readonly string[];
  /** Absent: Tulle's own. */
  readonly engine?: "traefik";
}

export interface ObjectProblem {
  readonly severity: "error" | "warning";
  readonly code: string;
  /** `Kind namespace/name` */
  readonly object: string;
  /** What is wrong, what follows, what to do. */
  readonly message: string;
  /** `file:line`; absent on a cluster, and for what is of no file. */
  readonly place?: string;
}

export interface Totals {
  readonly services: number;
  readonly servicePorts: number;
  readonly endpoints: number;
  readonly splits: number;
  readonly targets: number;
  readonly accessControl: AccessMode;
  /** Of the configuration that they are of. */
  readonly version: string;
}

export interface MeshStatus {
  /** What was looked at, and by whom. */
  readonly where: string;
  /** Absent: a `tulle local`, where all is in one process. */
  readonly cluster?: {
    readonly namespace: string;
    readonly controllers: readonly ControllerState[];
    readonly proxies: readonly ProxyState[];
  };
  /** Absent where nobody could tell. */
  readonly totals?: Totals;
  readonly problems?: readonly ObjectProblem[];
}

export interface Finding {
  readonly severity: "error" | "warning";
  /** `proxy tulle-proxy-x on node-1`, `TrafficSplit shop/web` */
  readonly object: string;
  /** What is wrong, and what to do. */
  readonly says: string;
  /** `file:line`, where it is of a file. */
  readonly place?: string;
}

export function totalsOf(config: MeshConfig, version: string): Totals {
  const ports = Object.values(config.servicePorts);
  const origins = ports.flatMap(({ routes = [] }) => routes.map(({ origin }) => origin));
  const splits = origins
    .filter(({ kind }) => kind === "TrafficSplit")
    .map(({ namespace, name }) => `${namespace}/${name}`);
  const endpoints = ports.flatMap((port) => Object.keys(port.endpoints).map((key) => splitAddressPort(key).address));
  return {
    services: new Set(ports.map(({ namespace, service }) => `${namespace}/${service}`)).size,
    servicePorts: ports.length,
    endpoints: new Set(endpoints).size,
    splits: new Set(splits).size,
    targets: Object.keys(config.accessRules).length,
    accessControl: config.accessControl,
    version,
  };
}

/** Errors first. */
export function findingsOf({ cluster, totals, problems }: MeshStatus): Finding[] {
  const findings = [
    ...(cluster === undefined ? [] : [...ofControllers(cluster), ...ofProxies(cluster), ...ofImages(cluster)]),
    ...(totals === undefined ? [wrong("configuration", "nobody tells which is in force: tulle check")] : []),
    ...(problems ?? []).map(
      ({ severity, code, object, message, ...place }): Finding => ({
        severity,
        object,
        says: `${code}: ${message}`,
        ...place,
      }),
    ),
  ];
  return [...findings.filter(isError), ...findings.filter((finding) => !isError(finding))];
}

export const isError = ({ severity }: Finding): boolean => severity === "error";

/** A Pod may take so long until it is ready: a proxy waits until its addresses are known everywhere. */
const STARTING_SECONDS = 60;

type ClusterStatus = NonNullable<MeshStatus["cluster"]>;

const wrong = (object: string, says: string): Finding => ({ severity: "error", object, says });
const doubtful = (object: string, says: string): Finding => ({ severity: "warning", object, says });

function ofControllers({ namespace, controllers }: ClusterStatus): Finding[] {
  const running = controllers.filter(({ ending }) => !ending);
  if (running.length === 0)
    return [wrong("controllers", `there is none in namespace ${namespace}: is Tulle installed there (--namespace)?`)];
  const said = running.flatMap((each) => each.said ?? []);
  const versions = new Set(said.map(({ version }) => version));
  return [
    ...running.flatMap((each) => ofController(each, namespace)),
    ...(said.length === 0 ? [] : ofLeader(namespace, running, said)),
    ...(versions.size > 1
      ? [
          doubtful(
            "controllers",
            "they serve different configurations; where that lasts, one sees objects late: its log",
          ),
        ]
      : []),
  ];
}

function ofController(controller: ControllerState, namespace: string): Finding[] {
  const { name, ready, waits, ageSeconds, silent, said } = controller;
  const object = `controller ${name}`;
  if (waits !== "") return [wrong(object, `it does not run (${waits}): kubectl -n ${namespace} describe pod ${name}`)];
  if (silent !== "") return [wrong(object, `it cannot be asked: ${silent}`)];
  const troubles = (said?.troubles ?? []).map((trouble) =>
    wrong(object, `${trouble}: what is there is not in force (see its log, and the rights of its account)`),
  );
  return ready || troubles.length > 0 ? troubles : [notReady(object, name, ageSeconds, namespace)];
}

function notReady(object: string, pod: string, ageSeconds: number, namespace: string): Finding {
  const log = `kubectl -n ${namespace} logs ${pod}`;
  return ageSeconds < STARTING_SECONDS
    ? doubtful(object, `it started ${ageSeconds} s ago and is not ready yet; where that lasts: ${log}`)
    : wrong(object, `it is not ready: ${log}`);
}

function ofLeader(namespace: string, running: readonly ControllerState[], said: readonly ControllerSaid[]): Finding[] {
  const leading = said.find(({ leads }) => leads);
  const holder = said[0]?.leader ?? "";
  if (leading === undefined) {
    // The holder may be one that could not be asked.
    if (running.some(({ name, said }) => name === holder && said === undefined)) return [];
    const lease = `kubectl -n ${namespace} get lease tulle-controller`;
    return [wrong("controllers", `none leads, so shadow services, Events and cluster DNS are not kept up: ${lease}`)];
  }
  const { pendingShadows, dns } = leading;
  return [
    ...(pendingShadows > 0
      ? [doubtful("shadow services", `${pendingShadows} are not written yet; where that lasts, see the leader's log`)]
      : []),
    ...ofDns(dns, namespace),
  ];
}

function ofDns(
  { mode, inForce, owner, ownerGone, waitsFor, faults, warnings }: DnsState,
  namespace: string,
): Finding[] {
  const object = "cluster DNS";
  if (owner !== "" && owner !== namespace)
    return [
      doubtful(
        object,
        ownerGone
          ? `the mesh names were those of the mesh in namespace ${owner}, which is gone: this one takes them over within a minute, as soon as nothing keeps it from that`
          : `the mesh in namespace ${owner} has the mesh names, and this one stands by: tulle migrate --take-over --namespace ${namespace}`,
      ),
      ...waitsFor.map((each) => doubtful(object, `to take over, it waits: ${each}`)),
      ...faults.map((fault) => wrong(object, fault)),
    ];
  const told = [...faults.map((fault) => wrong(object, fault)), ...warnings.map((each) => doubtful(object, each))];
  if (inForce || faults.length > 0) return told;
  return mode === "manual"
    ? [...told, wrong(object, "it has no mesh names: add what `tulle prepare --dns-mode manual` prints")]
    : [...told, doubtful(object, "the mesh names are not in force yet; where that lasts: tulle check")];
}

function ofProxies({ namespace, proxies }: ClusterStatus): Finding[] {
  if (proxies.length === 0)
    return [wrong("proxies", `there is none: kubectl -n ${namespace} describe daemonset tulle-proxy`)];
  return proxies.flatMap((proxy) => ofProxy(proxy, namespace));
}

function ofProxy(proxy: ProxyState, namespace: string): Finding[] {
  const { name, node, ready, draining, waits, ageSeconds, connected, silentSeconds } = proxy;
  const { programmed, error, closedEntrypoints } = proxy;
  const object = `proxy ${name}${node === "" ? "" : ` on ${node}`}`;
  // It ends as it was told to, and another takes its place.
  if (draining) return [];
  if (waits !== "") return [wrong(object, `it does not run (${waits}): kubectl -n ${namespace} describe pod ${name}`)];
  if (proxy.engine === "traefik" && ready && !connected)
    return [
      wrong(
        object,
        `it does not answer on port 1081, so nobody knows what it has: kubectl -n ${namespace} logs ${name}`,
      ),
    ];
  const since = silentSeconds === undefined ? "" : ` for ${silentSeconds} s`;
  return [
    ...(ready ? [] : [notReady(object, name, ageSeconds, namespace)]),
    ...(connected
      ? []
      : [
          wrong(object, `it hears no controller${since}, and serves what it had: kubectl -n ${namespace} logs ${name}`),
        ]),
    ...(error === "" ? [] : [wrong(object, `it refused the configuration, and serves what it had: ${error}`)]),
    ...(connected && error === "" && programmed === false
      ? [doubtful(object, "the newest configuration is not in force yet; where that lasts, see its log")]
      : []),
    ...(closedEntrypoints.length === 0
      ? []
      : [wrong(object, `it could not open ${closedEntrypoints.join(", ")}: see its log for what has these ports`)]),
  ];
}

function ofImages({ namespace, controllers, proxies }: ClusterStatus): Finding[] {
  // Traefik's image is another one in any case.
  const ours = [...controllers, ...proxies.filter(({ engine }) => engine === undefined)];
  const traefiks = proxies.filter(({ engine }) => engine === "traefik");
  return [ours, traefiks].flatMap((pods) => {
    const images = new Set(pods.map(({ image }) => image).filter((image) => image !== ""));
    if (images.size < 2) return [];
    const remedy = `an upgrade is under way, or is stuck: kubectl -n ${namespace} rollout status daemonset tulle-proxy`;
    return [doubtful("versions", `there are ${[...images].sort().join(" and ")}: ${remedy}`)];
  });
}
