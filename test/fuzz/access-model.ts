/**
 * Access control as SMI and our decisions on it say (targets add up; what none allows is denied), written down from the
 * objects, plainly: without topology, compiler, identities kept, views or patterns compiled by us.
 */
import type {
  HTTPRouteGroup,
  MeshObject,
  ObjectOf,
  Service,
  TrafficSplit,
  TrafficTarget,
} from "../../src/model/objects.ts";

/** What is asked of one service port. Without request: a flow. */
export interface Call {
  readonly from: string;
  readonly request?: Request;
}

interface Request {
  readonly path: string;
  readonly method: string;
  /** Lines of header `x-key`. */
  readonly keys: readonly string[];
  /** Header `host`. */
  readonly host: string;
}

type Kind = MeshObject["kind"];

/** Whether a request is one that is meant; "maybe" where that hangs on what cannot be seen of it. */
type Fit = boolean | "maybe";

export class AccessModel {
  readonly #objects: readonly MeshObject[];
  readonly #default: string;
  readonly #seesHost: boolean;

  /**
   * @param objects of any namespace
   * @param seesHost false: header `host` is not seen, and what may hang on it is denied
   */
  constructor(objects: readonly MeshObject[], defaultTrafficType: string, seesHost = true) {
    this.#default = defaultTrafficType;
    this.#seesHost = seesHost;
    const own = ({ labels }: MeshObject["meta"]) =>
      labels["app.kubernetes.io/part-of"] === "tulle" || ["maesh", "jaeger"].includes(labels["app"] ?? "");
    this.#objects = objects.filter(
      ({ meta }) => !own(meta) && meta.namespace !== "kube-system" && meta.namespace !== "ignored",
    );
    this.#everyPod = new Set(
      objects.filter((o) => o.kind === "Pod").map(({ meta }) => `${meta.namespace}/${meta.name}`),
    );
  }
  /** Those of ignored namespaces too: a slice may name them. */
  readonly #everyPod: ReadonlySet<string>;

  #all<K extends Kind>(kind: K, namespace?: string): ObjectOf<K>[] {
    return this.#objects.filter(
      (object): object is ObjectOf<K> =>
        object.kind === kind && (namespace === undefined || object.meta.namespace === namespace),
    );
  }

  #find<K extends Kind>(kind: K, namespace: string, name: string): ObjectOf<K> | undefined {
    return this.#all(kind, namespace).find(({ meta }) => meta.name === name);
  }

  /** The Pod at an address, where it is one alone. */
  #ownerOf(address: string) {
    const owners = this.#all("Pod").filter(
      ({ ips, hostNetwork, phase }) =>
        ips.includes(address) && !hostNetwork && phase !== "Succeeded" && phase !== "Failed",
    );
    return owners.length === 1 ? owners[0] : undefined;
  }

  #identityOf(address: string): string | undefined {
    const owner = this.#ownerOf(address);
    return owner === undefined ? undefined : `${owner.meta.namespace}/${owner.serviceAccount}`;
  }

  typeOf({ meta }: Service): string {
    return (
      meta.annotations["mesh.traefik.io/traffic-type"] ??
      meta.annotations["maesh.containo.us/traffic-type"] ??
      this.#default
    );
  }

  /** Port numbers that the mesh serves. */
  portsOf(service: Service): number[] {
    const type = this.typeOf(service);
    const scheme = service.meta.annotations["mesh.traefik.io/scheme"] ?? "http";
    if (service.type === "ExternalName" || !["http", "tcp", "udp"].includes(type)) return [];
    if (!["http", "https", "h2c"].includes(scheme)) return [];
    return service.ports
      .filter(({ protocol }) => protocol === (type === "udp" ? "UDP" : "TCP"))
      .map(({ port }) => port);
  }

  get services(): Service[] {
    return this.#all("Service").filter((service) => this.portsOf(service).length > 0);
  }

  /** `address:port` → identity, or undefined where it is nobody's. */
  #endpointsOf(service: Service, port: number): Map<string, string | undefined> {
    const endpoints = new Map<string, string | undefined>();
    const protocol = this.typeOf(service) === "udp" ? "UDP" : "TCP";
    // Of two ports of a number, the last is in force.
    const of = service.ports.filter((each) => each.port === port && each.protocol === protocol).at(-1);
    // Of two slices with an endpoint, the last by name is believed.
    const slices = this.#all("EndpointSlice", service.meta.namespace).sort((a, b) =>
      a.meta.name < b.meta.name ? -1 : 1,
    );
    for (const slice of slices) {
      if (slice.service !== service.meta.name) continue;
      for (const { name, port: podPort, protocol: spoken } of slice.ports)
        if (name === of?.name && spoken === protocol)
          for (const { ready, addresses, pod } of slice.endpoints)
            if (ready || service.publishNotReadyAddresses)
              for (const address of addresses)
                endpoints.set(`${address} ${podPort}`, this.#endpointOwner(address, pod));
    }
    return endpoints;
  }

  #endpointOwner(address: string, pod: { namespace: string; name: string } | undefined): string | undefined {
    const owner = this.#ownerOf(address)?.meta;
    const known = pod !== undefined && this.#everyPod.has(`${pod.namespace}/${pod.name}`);
    if (known && (owner?.namespace !== pod.namespace || owner.name !== pod.name)) return undefined;
    return this.#identityOf(address);
  }

  /** Whether a call may be made at all, to this port of this Service. */
  allows(service: Service, port: number, call: Call): boolean {
    const backends = this.#backendsOf(service, call);
    if (backends === undefined) return this.#allowsOwn(service, port, call);
    return backends !== "maybe" && backends.every((backend) => this.allows(backend, port, call));
  }

  /** `address port` of the endpoints that a call to this port of this Service may come to, by way of splits too. */
  leadsTo(service: Service, port: number, call: Call): string[] {
    const backends = this.#backendsOf(service, call);
    if (backends === undefined) return this.reached(service, port, call);
    return backends === "maybe" ? [] : backends.flatMap((backend) => this.leadsTo(backend, port, call));
  }

  /** @returns undefined where the Service itself is meant */
  #backendsOf(service: Service, call: Call): Service[] | "maybe" | undefined {
    const split = this.#splitOf(service);
    const fit = split !== undefined && this.#splitFits(split, service, call);
    if (split === undefined || fit === false) return undefined;
    if (fit === "maybe") return fit;
    return split.backends
      .filter((backend) => backend.weight > 0 && this.#isUsable(backend.service, service))
      .map((backend) => this.#find("Service", service.meta.namespace, backend.service) as Service);
  }

  /** The Service that a split in force is of. */
  rootOf(namespace: string, name: string): string | undefined {
    const split = this.#find("TrafficSplit", namespace, name);
    return split === undefined ? undefined : `${namespace}/${split.service}`;
  }

  #allowsOwn(service: Service, port: number, call: Call): boolean {
    const endpoints = this.#endpointsOf(service, port);
    return endpoints.size === 0 || this.reached(service, port, call).length > 0;
  }

  /** Of the Service's own endpoints, `address port` of those that the call may reach. */
  reached(service: Service, port: number, call: Call): string[] {
    const caller = this.#identityOf(call.from);
    const open = [...this.#endpointsOf(service, port)].filter(([endpoint, identity]) => {
      const podPort = Number(endpoint.split(" ")[1]);
      return (
        caller !== undefined &&
        identity !== undefined &&
        this.#all("TrafficTarget").some((target) => this.#opens(target, caller, identity, podPort, service, call))
      );
    });
    return open.map(([endpoint]) => endpoint).sort();
  }

  #opens(target: TrafficTarget, caller: string, identity: string, podPort: number, to: Service, call: Call): boolean {
    const { meta, destination, sources, version } = target;
    if (destination.kind !== "ServiceAccount") return false;
    if (`${destination.namespace ?? meta.namespace}/${destination.name}` !== identity) return false;
    const named = sources.filter((source) => source.kind === "ServiceAccount" && source.namespace !== undefined);
    if (!named.some((source) => `${source.namespace}/${source.name}` === caller)) return false;
    if (destination.port !== undefined && destination.port !== 0 && destination.port !== podPort) return false;
    const rules = target.rules ?? [];
    if (rules.length === 0) return version === "v1alpha2" && call.request !== undefined;
    if (!rules.every((rule) => this.#resolves(meta.namespace, rule))) return false;
    const opensPort = (kind: "TCPRoute" | "UDPRoute") =>
      rules
        .filter((rule) => rule.kind === kind)
        .map(({ name }) => this.#find(kind, meta.namespace, name)?.ports ?? [])
        .some((ports) => ports.length === 0 || ports.includes(podPort));
    const names = (kind: string) => rules.some((rule) => rule.kind === kind);
    const together = version !== "v1alpha1" && version !== "v1alpha2";
    if (call.request === undefined) {
      if (this.typeOf(to) === "udp") return opensPort("UDPRoute");
      return opensPort("TCPRoute") && !(together && names("HTTPRouteGroup"));
    }
    const { request } = call;
    const fits = rules.some(
      ({ kind, name, matches }) =>
        kind === "HTTPRouteGroup" && this.#fitsGroup(meta.namespace, name, matches, request, true) === true,
    );
    return fits && (!together || !names("TCPRoute") || opensPort("TCPRoute"));
  }

  #resolves(namespace: string, rule: NonNullable<TrafficTarget["rules"]>[number]): boolean {
    if (rule.kind !== "HTTPRouteGroup")
      return (
        (rule.kind === "TCPRoute" || rule.kind === "UDPRoute") &&
        this.#find(rule.kind, namespace, rule.name) !== undefined
      );
    const group = this.#find("HTTPRouteGroup", namespace, rule.name);
    return (
      (rule.matches ?? []).every((name) => group?.matches.some((match) => match.name === name)) && group !== undefined
    );
  }

  #fitsGroup(namespace: string, name: string, only: readonly string[] = [], request: Request, forAccess: boolean): Fit {
    const matches = this.#find("HTTPRouteGroup", namespace, name)?.matches ?? [];
    // The first of a name is meant.
    const distinct = matches.filter((match, at) => matches.findIndex((other) => other.name === match.name) === at);
    const meant = distinct.filter((match) => only.length === 0 || only.includes(match.name));
    return either(meant.map((match) => fits(match, request, forAccess, this.#seesHost)));
  }

  #splitFits(split: TrafficSplit, root: Service, { request }: Call): Fit {
    if (split.matches.length === 0 || this.typeOf(root) !== "http") return true;
    if (request === undefined) return false;
    return either(split.matches.map(({ name }) => this.#fitsGroup(split.meta.namespace, name, [], request, false)));
  }

  /** The one in force. */
  #splitOf(root: Service): TrafficSplit | undefined {
    const split = this.#candidateOf(root);
    return split === undefined || this.#leadsBack(root, split) ? undefined : split;
  }

  #candidateOf(root: Service): TrafficSplit | undefined {
    const age = (a: TrafficSplit, b: TrafficSplit) =>
      a.meta.createdAt - b.meta.createdAt || (a.meta.name < b.meta.name ? -1 : 1);
    return this.#all("TrafficSplit", root.meta.namespace)
      .filter((split) => split.service === root.meta.name && this.#isComplete(split, root))
      .sort(age)[0];
  }

  #isComplete({ backends, matches, meta }: TrafficSplit, root: Service): boolean {
    if (backends.some(({ service }) => service === root.meta.name)) return false;
    if (!backends.some(({ service, weight }) => weight > 0 && this.#isUsable(service, root))) return false;
    if (matches.length === 0 || this.typeOf(root) !== "http") return true;
    const groups = matches.map(({ kind, name }) =>
      kind === "HTTPRouteGroup" ? this.#find("HTTPRouteGroup", meta.namespace, name) : undefined,
    );
    const good = (group: HTTPRouteGroup | undefined) =>
      group?.matches.some(
        (match, at) => isSound(match) && group.matches.findIndex((other) => other.name === match.name) === at,
      );
    return groups.every((group) => group !== undefined) && groups.some(good);
  }

  #isUsable(name: string, root: Service): boolean {
    const backend = this.#find("Service", root.meta.namespace, name);
    if (backend === undefined || this.typeOf(backend) !== this.typeOf(root)) return false;
    const ports = this.portsOf(backend);
    return this.portsOf(root).every((port) => ports.includes(port)) && ports.length > 0;
  }

  #leadsBack(root: Service, split: TrafficSplit, seen: readonly string[] = []): boolean {
    const namespace = root.meta.namespace;
    const own = this.#find("Service", namespace, split.service) as Service;
    const usable = split.backends.map(({ service }) => service).filter((service) => this.#isUsable(service, own));
    return usable.some((service) => {
      if (service === root.meta.name) return true;
      const further = this.#candidateOf(this.#find("Service", namespace, service) as Service);
      return further !== undefined && !seen.includes(service) && this.#leadsBack(root, further, [...seen, service]);
    });
  }
}

type Match = HTTPRouteGroup["matches"][number];

const isExpression = (text: string) => {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
};

function isSound({ pathRegex = "", methods = [], headers = [] }: Match): boolean {
  return (
    isExpression(pathRegex) &&
    methods.every((method) => ["GET", "POST", "*"].includes(method.toUpperCase())) &&
    headers.every(({ name, value }) => !name.includes(" ") && isExpression(value))
  );
}

const either = (fit: readonly Fit[]): Fit => fit.includes(true) || (fit.includes("maybe") && "maybe");

function fits(match: Match, request: Request, forAccess: boolean, seesHost: boolean): Fit {
  const isUnseen = ({ name, value }: NonNullable<Match["headers"]>[number]) =>
    !seesHost && name.toLowerCase() === "host" && value !== ".*";
  const headers = match.headers?.filter((header) => !isUnseen(header)) ?? [];
  if (!isSound(match) || !fitsSeen({ ...match, headers }, request, forAccess)) return false;
  return match.headers?.some(isUnseen) !== true || "maybe";
}

function fitsSeen(match: Match, { path, method, keys, host }: Request, forAccess: boolean): boolean {
  const { pathRegex = "", methods = [], headers = [] } = match;
  if (methods.length > 0 && !methods.some((each) => each === "*" || each.toUpperCase() === method)) return false;
  for (const { name, value } of headers) {
    const lines = name.toLowerCase() === "host" ? [host] : keys;
    const fitting = lines.filter((line) => new RegExp(value).test(line)).length;
    // Which line an endpoint reads, no rule on headers knows.
    if (fitting === 0 || (forAccess && fitting < lines.length)) return false;
  }
  const pattern = pathRegex.replace(/^\^/, "");
  if (pattern === "" || pattern === ".*") return true;
  // No rule on paths lets one through that reads two ways.
  if (forAccess && path.includes("..")) return false;
  return new RegExp(`^(?:${pattern})`).test(path) || new RegExp(`^/(?:${pattern.replace(/^\//, "")})`).test(path);
}
