/**
 * What would happen to a call, and which object decides it: asked of the same route table that a proxy runs, so that
 * the answer is the proxy's and not a second opinion.
 */
import { emptyMeshConfig, type MeshConfig, type Origin, servicePortKeyOf } from "../config/mesh-config.ts";
import { systemClock } from "../model/clock.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import { FAILURES, type Failure } from "../model/failures.ts";
import { nearest } from "../model/nearest.ts";
import { keyOf, type Pod, type Service } from "../model/objects.ts";
import type { Problem } from "../model/problems.ts";
import type { AccessFinding } from "../proxy/router/access-description.ts";
import { headerLines } from "../proxy/router/header-lines.ts";
import { MeshRouteTable, newDecision } from "../proxy/router/route-table.ts";
import type { Caller, RequestView, ServicePortState } from "../proxy/router/types.ts";
import { silentLog } from "../telemetry/log.ts";
import { describeSettings } from "./describe-settings.ts";

export interface Question {
  /** `namespace/pod`; the Pod's name may be cut before what Kubernetes generates. */
  readonly from: string;
  /** Name or address, with or without port. */
  readonly to: string;
  readonly method: string;
  /** With query. */
  readonly path: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

export interface Explanation {
  readonly served: boolean;
  /** HTTP status of a refusal; 0 where HTTP has nothing to do with it or an endpoint answers. */
  readonly status: number;
  readonly failure: Failure | "UnknownName" | "NotInMesh" | "";
  readonly caller: { readonly pod: string; readonly address: string; readonly identity: string };
  /** `namespace/service:port`, where the name leads to one. */
  readonly servicePort: string;
  /** The object whose word decides, as `Kind namespace/name`. */
  readonly decidedBy: string;
  /** Service ports that the call passes or may pass, with their share. */
  readonly backends: readonly {
    readonly servicePort: string;
    readonly share: number;
    readonly endpoints: readonly string[];
  }[];
  /** In the order in which the proxy decides. */
  readonly stages: readonly Stage[];
  /** The same as lines of text. */
  readonly steps: readonly string[];
}

/** A decision on the way of a call. */
export interface Stage {
  readonly stage: "caller" | "name" | "access" | "route" | "answer";
  readonly says: string;
  /** The object by whose word it is so, as `Kind namespace/name`; "" where there is none. */
  readonly object: string;
  /** Why so. */
  readonly notes: readonly string[];
}

/** The question cannot be put: its caller is not there, or its form is wrong. */
export class UnanswerableError extends Error {
  override readonly name = "UnanswerableError";
}

export interface ExplainedMesh {
  readonly state: ClusterStateView;
  /** With access control on, whatever is in force. */
  readonly config: MeshConfig;
  readonly enforced: MeshConfig["accessControl"];
  readonly problems: readonly Problem[];
  /** Whether objects of that namespace are looked at; absent: all are. */
  readonly within?: (namespace: string) => boolean;
}

/** @throws UnanswerableError where the question has no caller, or could not be asked on the wire */
export function explain(question: Question, mesh: ExplainedMesh): Explanation {
  checkRequest(question);
  return new Explainer(question, mesh).answer();
}

class Explainer {
  readonly #question: Question;
  readonly #mesh: ExplainedMesh;
  readonly #table: MeshRouteTable;
  readonly #stages: (Stage & { readonly notes: string[] })[] = [];
  readonly #caller: Caller;
  readonly #pod: Pod;

  constructor(question: Question, mesh: ExplainedMesh) {
    this.#question = question;
    this.#mesh = mesh;
    this.#table = new MeshRouteTable({ clock: systemClock, random: () => 0, log: silentLog });
    this.#table.apply({ ...emptyMeshConfig(), ...mesh.config, accessControl: "on" });
    this.#pod = this.#findPod();
    this.#caller = this.#table.caller(this.#pod.ips[0] ?? "");
  }

  answer(): Explanation {
    const { identity = "nobody" } = this.#caller;
    const who = `${identity}${this.#leftOut(this.#pod.meta.namespace)}`;
    const pod = `Pod ${keyOf(this.#pod.meta)}`;
    this.#stage("caller", `${pod} at ${this.#caller.address || "no address"}, ServiceAccount ${who}`, pod);
    checkRequest(this.#question);
    const { host, port } = parseTarget(this.#question.to);
    const service = this.#serviceOf(host, port);
    if (service === undefined) return this.#end({ failure: "UnknownName" });
    if (service === "") return this.#end({ served: true, failure: "NotInMesh" });
    const entry = this.#entry(service, host, port);
    return entry === undefined ? this.#end({ failure: "UnknownName" }) : this.#decide(entry);
  }

  #leftOut(namespace: string): string {
    if (this.#mesh.within?.(namespace) !== false) return "";
    return `: namespace ${namespace} is left out (watched or ignored namespaces)`;
  }

  #decide(entry: ServicePortState): Explanation {
    const decision = newDecision();
    const isHttp = entry.config.trafficType === "http";
    if (isHttp) this.#table.routeHttp(entry, this.#caller, this.#view(), decision);
    else this.#table.routeFlow(entry, this.#caller, decision);
    const denied = decision.failure === "AccessDenied" || decision.failure === "AmbiguousPath";
    const backends = this.#backends(entry, decision.routes[0]);
    this.#explainAccess(entry, backends, denied);
    if (denied && this.#mesh.enforced === "on") {
      const failure = decision.failure as Failure;
      const decidedBy = this.#denier(entry, backends);
      this.#stage("answer", refusal(entry, failure), decidedBy);
      const status = isHttp ? FAILURES[failure].status : 0;
      return this.#end({ failure, status, servicePort: entry.key, decidedBy });
    }
    // Where access control does not decide, no object of its does.
    if (this.#mesh.enforced !== "on") this.#redecide(entry, decision);
    this.#explainRoute(entry, decision.routes[0], backends);
    this.#explainSettings(new Set([entry.key, ...backends.map(({ servicePort }) => servicePort)]));
    const { failure } = decision;
    const decidedBy = formatOrigin(decision.origin) ?? serviceRef(entry);
    if (failure !== "") this.#stage("answer", refusal(entry, failure), decidedBy);
    else this.#stage("answer", `an endpoint's: ${backends.flatMap(({ endpoints }) => endpoints).join(", ")}`);
    return this.#end({
      served: failure === "",
      failure,
      status: isHttp && failure !== "" ? FAILURES[failure].status : 0,
      servicePort: entry.key,
      decidedBy,
      backends,
    });
  }

  /** The same call with access control as it is in force. */
  #redecide(entry: ServicePortState, decision: ReturnType<typeof newDecision>): void {
    this.#table.apply({ ...emptyMeshConfig(), ...this.#mesh.config, accessControl: "off" });
    if (entry.config.trafficType === "http") this.#table.routeHttp(entry, this.#caller, this.#view(), decision);
    else this.#table.routeFlow(entry, this.#caller, decision);
  }

  #explainAccess(entry: ServicePortState, backends: Explanation["backends"], denied: boolean): void {
    const { enforced } = this.#mesh;
    const asked = askedOf(entry, backends);
    const decider = denied ? this.#denier(entry, backends) : this.#opener(entry, asked);
    const verdict = denied ? `denied, decided by ${decider}` : "allowed";
    if (enforced === "on") this.#stage("access", verdict, decider);
    else this.#stage("access", `let through, because access control is ${enforced} (with --acl on: ${verdict})`);
    for (const key of asked) {
      const state = this.#table.servicePort(key);
      if (state === undefined) continue;
      const { findings, endpointsWithoutIdentity } = this.#findings(entry, state);
      const to = asked.length > 1 ? ` to ${key}` : "";
      if (endpointsWithoutIdentity.length > 0)
        this.#note(`nobody's endpoints${to}, which no target can open: ${endpointsWithoutIdentity.join(", ")}`);
      if (findings.length === 0 && endpointsWithoutIdentity.length === 0)
        this.#note(`no TrafficTarget has the ServiceAccount of ${key}'s Pods as destination`);
      for (const finding of findings) this.#note(`${describeFinding(finding)}${to}`);
      if (findings.some(({ matches }) => matches.some(({ misfit }) => misfit === "header")))
        for (const name of repeated(this.#question.headers))
          this.#note(`${name} comes in several lines: to access control each of them must fit`);
    }
  }

  #explainRoute(
    entry: ServicePortState,
    route: ReturnType<typeof newDecision>["route"],
    backends: Explanation["backends"],
  ): void {
    if (route === undefined) {
      this.#stage("route", `to the endpoints of ${entry.key}`, serviceRef(entry));
      return;
    }
    const parts = backends.map(({ servicePort, share }) => `${servicePort} ${Math.round(share * 1000) / 10} %`);
    const object = formatOrigin(route.origin) ?? "";
    this.#stage("route", `${object} sends it to ${parts.join(", ")}`, object);
  }

  /** What may still come between: of the service ports on the way, in their order. */
  #explainSettings(keys: ReadonlySet<string>): void {
    for (const key of keys) {
      const config = this.#mesh.config.servicePorts[key];
      const settings = config === undefined ? [] : describeSettings(config);
      if (settings.length > 0) this.#note(`${key} asks for ${settings.join(", ")}`);
    }
  }

  /** Which object keeps the call out: the target that is there and does not fit, or the Service for want of any. */
  #denier(entry: ServicePortState, backends: Explanation["backends"]): string {
    for (const key of askedOf(entry, backends)) {
      const state = this.#table.servicePort(key);
      if (state === undefined) continue;
      const { findings } = this.#findings(entry, state);
      if (findings.some(({ obstacle }) => obstacle === "")) continue;
      // The nearest miss says most: a target with this source, then one for this protocol, then any.
      const section = entry.config.trafficType;
      const closest =
        findings.find(({ obstacle }) => obstacle !== "source") ??
        findings.find(({ rule }) => this.#mesh.config.accessRules[keyOf(rule)]?.[section] !== undefined) ??
        findings[0];
      return closest === undefined ? serviceRef(state) : `TrafficTarget ${keyOf(closest.rule)}`;
    }
    return serviceRef(entry);
  }

  /** Which object lets the call in, of the first service port that is asked. */
  #opener(entry: ServicePortState, asked: readonly string[]): string {
    const state = this.#table.servicePort(asked[0] ?? "");
    const opens = state && this.#findings(entry, state).findings.find(({ obstacle }) => obstacle === "");
    return opens === undefined ? "" : `TrafficTarget ${keyOf(opens.rule)}`;
  }

  #findings(entry: ServicePortState, state: ServicePortState): ReturnType<MeshRouteTable["describeAccess"]> {
    const request = entry.config.trafficType === "http" ? this.#view() : undefined;
    return this.#table.describeAccess(state, this.#caller, request);
  }

  #backends(entry: ServicePortState, route: ReturnType<typeof newDecision>["route"]): Explanation["backends"] {
    const endpointsOf = (key: string) => {
      const config = this.#mesh.config.servicePorts[key];
      return Object.entries(config?.endpoints ?? {}).map(([address, { pod }]) =>
        pod === undefined ? address : `${pod} (${address})`,
      );
    };
    const picked = route ?? this.#routeOf(entry);
    if (picked === undefined) return [{ servicePort: entry.key, share: 1, endpoints: endpointsOf(entry.key) }];
    const total = picked.backends.reduce((sum, { weight }) => sum + weight, 0);
    return picked.backends.map(({ servicePort, weight }) => ({
      servicePort,
      share: total === 0 ? 0 : weight / total,
      endpoints: endpointsOf(servicePort),
    }));
  }

  /** The route that a denied call would have taken: a refusal leaves the decision before it is chosen. */
  #routeOf(entry: ServicePortState) {
    const decision = newDecision();
    const table = new MeshRouteTable({ clock: systemClock, random: () => 0, log: silentLog });
    table.apply({ ...emptyMeshConfig(), ...this.#mesh.config, accessControl: "off" });
    const same = table.servicePort(entry.key);
    if (same === undefined) return undefined;
    if (entry.config.trafficType === "http") table.routeHttp(same, this.#caller, this.#view(), decision);
    else table.routeFlow(same, this.#caller, decision);
    return decision.routes[0];
  }

  #view(): RequestView {
    const { method, path, headers } = this.#question;
    // As it would be on the wire: one character an octet.
    const wire = path.replace(/[^\x21-\x7e]/g, (character) => encodeURIComponent(character));
    const question = wire.indexOf("?");
    return {
      method,
      path: question < 0 ? wire : wire.slice(0, question),
      query: question < 0 ? "" : wire.slice(question + 1),
      ...headerLines(headers),
    };
  }

  #findPod(): Pod {
    const { from } = this.#question;
    const { state } = this.#mesh;
    const exact = state.get("Pod", from);
    if (exact !== undefined) return exact;
    const pods = [...state.list("Pod")];
    const generated = pods
      .filter((pod) => keyOf(pod.meta).startsWith(`${from}-`))
      .sort((a, b) => (keyOf(a.meta) < keyOf(b.meta) ? -1 : 1));
    if (generated[0] !== undefined) return generated[0];
    const meant = nearest(
      from,
      pods.map((pod) => keyOf(pod.meta)),
    );
    throw new UnanswerableError(
      `--from ${from}: there is no such Pod${meant === undefined ? wantsNamespace(from) : `; did you mean ${meant}?`}`,
    );
  }

  /** @returns the Service's key, "" for a name past the mesh, undefined for one that does not exist */
  #serviceOf(host: string, port: number | undefined): string | undefined {
    const { config, state } = this.#mesh;
    const byAddress = Object.keys(config.names).find((key) => config.names[key]?.includes(host));
    if (byAddress !== undefined) return byAddress;
    const domain = config.meshDomains.find((each) => host.endsWith(`.${each}`));
    if (domain === undefined) {
      const plain = /^([^.]+)(?:\.([^.]+)(?:\.svc(?:\.cluster\.local)?)?)?$/.exec(host);
      const key = `${plain?.[2] ?? this.#pod.meta.namespace}/${plain?.[1]}`;
      const service = plain === null ? undefined : state.get("Service", key);
      if (service !== undefined && lacksPort(service, port)) {
        const numbers = service.ports.map((each) => each.port).join(", ");
        const object = `Service ${key}`;
        this.#stage("name", `${host} is ${object} itself, which has no port ${port}; it has ${numbers}`, object);
        return undefined;
      }
      if (service !== undefined) {
        const object = `Service ${key}`;
        this.#stage("name", `${host} is ${object} itself: the call passes by the mesh and its access control`, object);
        this.#note(`the mesh name is ${service.meta.name}.${service.meta.namespace}.${config.meshDomains[0]}`);
        return "";
      }
      this.#stage("name", `${host} is no name of the mesh (${config.meshDomains.join(", ")}) and of no Service`);
      return undefined;
    }
    const [name = "", namespace = "", ...more] = host.slice(0, -domain.length - 1).split(".");
    const key = `${namespace}/${name}`;
    if (more.length === 0 && config.names[key] !== undefined) return key;
    this.#stage("name", `${host} does not exist (NXDOMAIN)`);
    const unserved = state.get("Service", key);
    if (unserved !== undefined) {
      this.#note(`there is a Service ${key}, and the mesh does not serve it${this.#leftOut(namespace)}`);
      for (const { object, message } of this.#mesh.problems)
        if (object.kind === "Service" && keyOf(object) === key) this.#note(`${message}`);
    } else {
      const meant = nearest(key, Object.keys(config.names));
      const [near, nearNamespace] = (meant ?? "/").split("/").reverse();
      this.#note(
        meant === undefined
          ? `there is no Service ${key}`
          : `there is no Service ${key}; did you mean ${near}.${nearNamespace}.${domain}?`,
      );
    }
    return undefined;
  }

  #entry(service: string, host: string, asked: number | undefined): ServicePortState | undefined {
    const { config } = this.#mesh;
    const [namespace = "", name = ""] = service.split("/");
    const object = `Service ${service}`;
    const ports = Object.values(config.servicePorts)
      .filter((each) => each.namespace === namespace && each.service === name)
      .map(({ port }) => port);
    const port = asked ?? (ports.includes(80) || ports.length !== 1 ? 80 : (ports[0] as number));
    const state = this.#table.servicePort(servicePortKeyOf(namespace, name, port));
    if (state === undefined) {
      const has = ports.join(", ");
      const says = `${host} is the mesh name of ${object}, which has no port ${port} in the mesh; it has ${has}`;
      this.#stage("name", says, object);
      return undefined;
    }
    const addresses =
      config.names[service]?.join(", ") || "not in DNS yet, as no mesh here has made a shadow service for it";
    const { trafficType } = state.config;
    this.#stage("name", `${host} is ${addresses}, the mesh name of ${object}; port ${port} is ${trafficType}`, object);
    return state;
  }

  #end(result: Partial<Explanation>): Explanation {
    const { identity, address } = this.#caller;
    return {
      served: false,
      status: 0,
      failure: "",
      caller: { pod: keyOf(this.#pod.meta), address, identity: identity ?? "" },
      servicePort: "",
      decidedBy: "",
      backends: [],
      ...result,
      stages: this.#stages,
      steps: this.#stages.flatMap(({ stage, says, notes }) => [
        `${stage}: ${says}`,
        ...notes.map((note) => `  ${note}`),
      ]),
    };
  }

  #stage(stage: Stage["stage"], says: string, object = ""): void {
    this.#stages.push({ stage, says, object, notes: [] });
  }

  /** To the stage before. */
  #note(text: string): void {
    this.#stages.at(-1)?.notes.push(text);
  }
}

const serviceRef = ({ config }: ServicePortState) => `Service ${config.namespace}/${config.service}`;

/** The service ports whose access rules count: of a split, every backend that may get the call. */
function askedOf(entry: ServicePortState, backends: Explanation["backends"]): string[] {
  if (backends.length === 0) return [entry.key];
  return backends.filter(({ share }) => share > 0).map(({ servicePort }) => servicePort);
}

/** A headless Service's name leads to its Pods, on any port; an external one's, to somewhere else. */
function lacksPort({ headless, type, ports }: Service, port: number | undefined): boolean {
  return port !== undefined && !headless && type !== "ExternalName" && ports.every((each) => each.port !== port);
}

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

const wantsNamespace = (from: string) => (from.includes("/") ? "" : "; expected NAMESPACE/POD");

function checkRequest({ method, path, headers }: Question): void {
  if (!TOKEN.test(method)) throw new UnanswerableError(`--method "${method}": expected a method of HTTP, such as GET`);
  if (!path.startsWith("/")) throw new UnanswerableError(`--path "${path}": expected a path from /, such as /metrics`);
  for (const { name } of headers)
    if (!TOKEN.test(name))
      throw new UnanswerableError(`--header "${name}": expected a word as its name, such as Accept`);
}

function parseTarget(to: string): { host: string; port: number | undefined } {
  const match = /^(?:[a-z]+:\/\/)?([^/:]+)(?::(\d{1,5}))?(?:\/.*)?$/i.exec(to);
  if (match === null)
    throw new UnanswerableError(`--to ${to}: expected HOST or HOST:PORT, such as whoami.whoami.traefik.mesh:80`);
  const host = (match[1] as string).toLowerCase().replace(/\.$/, "");
  if (match[2] === undefined) return { host, port: undefined };
  const port = Number(match[2]);
  if (port < 1 || port > 65535) throw new UnanswerableError(`--to ${to}: ${port} is no port; there are 1 to 65535`);
  return { host, port };
}

function formatOrigin(origin: Origin | undefined): string | undefined {
  return origin === undefined ? undefined : `${origin.kind} ${keyOf(origin)}`;
}

function refusal(entry: ServicePortState, failure: Failure): string {
  const { trafficType } = entry.config;
  const { status, sentence } = FAILURES[failure];
  const what =
    trafficType === "http"
      ? `${status} ${failure}`
      : trafficType === "tcp"
        ? `a reset (${failure})`
        : `silence (${failure})`;
  // Where to ask is for who reads it elsewhere.
  return `${what}. ${sentence.replace(/; `tulle explain`[^.]*/, "")}`;
}

/** Names of headers that come in several lines; those of a Cookie are one. */
function repeated(headers: Question["headers"]): ReadonlySet<string> {
  const names = headers.map(({ name }) => name.toLowerCase());
  return new Set(names.filter((name, at) => name !== "cookie" && names.indexOf(name) !== at));
}

function describeFinding({ rule, obstacle, matches, podPort, destination }: AccessFinding): string {
  const name = `TrafficTarget ${keyOf(rule)}`;
  switch (obstacle) {
    case "":
      return `${name} allows it`;
    case "source":
      return `${name}: this caller is none of its sources`;
    case "protocol":
      return `${name} opens ${destination}, but not for this protocol: it names no route of that kind`;
    case "port":
      return `${name} opens other ports of the Pods than ${podPort}`;
    case "match":
      return `${name}: no match fits (${matches.map((each) => `${each.name ?? "unnamed"}: ${each.misfit}`).join("; ")})`;
  }
}
