import { formatRef, type ObjectRef } from "./objects.ts";

/**
 * Every problem that an object of the user's can have. `effect` says what the mesh does meanwhile, `remedy` what to
 * change. The codes are stable: they are also Event reasons, metric labels and the headings of docs/problems.md.
 */
export interface ProblemKind {
  readonly severity: "error" | "warning";
  readonly effect: string;
  /** Instead, where what the object said before an edit stays in force. */
  readonly effectOfEdit?: string;
  readonly remedy: string;
}

const STAYS = "the object stays as it was before";

export const PROBLEMS = {
  // files
  FileUnreadable: {
    severity: "error",
    effect: "what was read from it before, if anything, stays in force",
    remedy: "check the path and its permissions",
  },
  FolderWithoutManifests: {
    severity: "warning",
    effect: "nothing of it is in the mesh",
    remedy: "check the path",
  },
  ManifestEmptied: {
    severity: "warning",
    effect: "what it said before stays in force",
    remedy: "write its objects again, or delete the file to take them out of the mesh",
  },
  ManifestSyntax: {
    severity: "error",
    effect: "what this file said before, if anything, stays in force",
    remedy: "mend the YAML at that line",
  },
  ManifestInvalid: {
    severity: "error",
    effect: "the object is left out",
    effectOfEdit: STAYS,
    remedy: "correct the field",
  },
  NoManifest: {
    severity: "error",
    effect: "it is no Kubernetes manifest, and nothing of it is in the mesh",
    remedy: "write objects with apiVersion, kind and metadata, or leave it out",
  },
  DuplicateObject: {
    severity: "error",
    effect: "the first one is in force",
    remedy: "delete or rename one of the two",
  },
  UnknownVersion: {
    severity: "error",
    effect: "the object is left out",
    effectOfEdit: STAYS,
    remedy: "use one of the versions named",
  },
  KindUnknown: {
    severity: "warning",
    effect: "the object is left out",
    effectOfEdit: STAYS,
    remedy: "correct its apiVersion and kind",
  },
  AddressesExhausted: {
    severity: "error",
    effect: "the object has no address on this machine",
    remedy: "run fewer Pods and Services at a time",
  },
  DescriptorsExhausted: {
    severity: "error",
    effect: "nothing of this is in force, and what was before stays",
    remedy: "raise the limit (ulimit -n), or run fewer Pods and Services at a time",
  },

  // Services
  AnnotationInvalid: {
    severity: "error",
    effect: "this annotation is not in force, the others are",
    remedy: "correct its value",
  },
  AnnotationUnknown: {
    severity: "warning",
    effect: "it does nothing",
    remedy: "correct its spelling or delete it",
  },
  AnnotationDeprecated: {
    severity: "warning",
    effect: "it is in force",
    remedy: "write it with the prefix mesh.traefik.io/",
  },
  AnnotationIgnored: {
    severity: "warning",
    effect: "it does nothing",
    remedy: "delete it, or set the traffic-type, scheme or annotation that it is for",
  },
  RateLimitIncomplete: {
    severity: "error",
    effect: "no rate limit is in force",
    remedy: "set both ratelimit-average and ratelimit-burst",
  },
  TrafficTypeInvalid: {
    severity: "error",
    effect: "the mesh does not serve this Service",
    remedy: 'use "http", "tcp" or "udp"',
  },
  SchemeInvalid: {
    severity: "error",
    effect: "the mesh does not serve this Service",
    remedy: 'use "http", "https" or "h2c"',
  },
  TrafficDistributionUnknown: {
    severity: "warning",
    effect: "its endpoints are called wherever they are",
    remedy: "use PreferSameZone, PreferSameNode or PreferClose",
  },
  ServiceWithoutPorts: {
    severity: "error",
    effect: "the mesh does not serve this Service",
    remedy: "give it a port of the protocol that its traffic type needs, or set traffic-type",
  },
  PortSkipped: {
    severity: "warning",
    effect: "the mesh serves the other ports only",
    remedy: "put this port into a Service of its own with the fitting traffic-type",
  },
  ExternalNameUnsupported: {
    severity: "warning",
    effect: "the mesh does not serve this Service",
    remedy: "call its external name directly",
  },
  TargetPortUnresolved: {
    severity: "error",
    effect: "that Pod gets no calls on this port",
    remedy: "name a port that the Pod's containers declare, or give its number",
  },
  ServiceWithoutEndpoints: {
    severity: "warning",
    effect: "calls get 503 NoEndpoint",
    remedy: "check the selector, and that its Pods are ready",
  },
  SliceWithoutService: {
    severity: "warning",
    effect: "nobody is led to its endpoints",
    remedy: "create the Service in its namespace, or correct the name",
  },
  PortsExhausted: {
    severity: "error",
    effect: "the mesh does not serve these ports",
    remedy:
      "delete Services that are not used, leave namespaces out with --ignore-namespaces, or, with Traefik as the proxy, raise the limits",
  },
  ShadowNameTaken: {
    severity: "error",
    effect: "the mesh does not serve this Service",
    remedy: "delete or rename the Service that has this name in the mesh's namespace",
  },
  EndpointWithoutIdentity: {
    severity: "warning",
    effect: "access control denies every call to it",
    remedy: "back the Service by Pods with an address and a ServiceAccount of their own",
  },
  PodAddressShared: {
    severity: "error",
    effect: "calls from this address have no identity",
    remedy: "delete the Pod that no longer runs",
  },
  ImageNotServed: {
    severity: "warning",
    effect: "the Pod can call, but nothing answers on its address",
    remedy:
      "use a sample image (traefik/whoami, traefik/whoamitcp, traefik/whoamiudp), or a Service without selector and an EndpointSlice that names your program's address",
  },
  SampleNotServed: {
    severity: "warning",
    effect: "nothing answers for this container",
    remedy: "correct its args and env",
  },

  // TrafficSplits
  SplitRootMissing: {
    severity: "error",
    effect: "the split is not in force",
    remedy: "create the Service, or correct the name",
  },
  SplitBackendMissing: {
    severity: "error",
    effect: "the split goes on without this backend",
    remedy: "create the Service, or delete the backend",
  },
  SplitBackendPortMissing: {
    severity: "error",
    effect: "the split goes on without this backend",
    remedy: "give the backend every port number that the root Service has",
  },
  SplitBackendTrafficType: {
    severity: "error",
    effect: "the split goes on without this backend",
    remedy: "give root and backends the same traffic-type",
  },
  SplitBackendWithoutEndpoints: {
    severity: "warning",
    effect: "its share of the calls gets 503 NoEndpoint",
    remedy: "start its Pods, or set its weight to 0",
  },
  SplitNoUsableBackend: {
    severity: "error",
    effect: "the root Service itself is used",
    remedy: "correct the backends",
  },
  SplitWeightsZero: {
    severity: "error",
    effect: "the root Service itself is used",
    remedy: "give a backend a weight above 0",
  },
  SplitCycle: {
    severity: "error",
    effect: "the split is not in force and its root is served plainly",
    remedy: "take the backend out that leads back to the root",
  },
  SplitTooDeep: {
    severity: "error",
    effect: "the split is not in force and its root is served plainly",
    remedy: "let fewer splits follow one another",
  },
  SplitConflict: {
    severity: "error",
    effect: "only the oldest split of a root Service is in force",
    remedy: "merge the two, or delete one",
  },
  SplitMatchUnresolved: {
    severity: "error",
    effect: "the split is not in force and its root is served plainly",
    remedy: "create the HTTPRouteGroup in the split's namespace, or correct the reference",
  },
  SplitMatchesIgnored: {
    severity: "warning",
    effect: "the split holds for every connection",
    remedy: "delete the matches, or make the root Service one of HTTP",
  },

  // TrafficTargets and their routes
  TargetSubjectKind: {
    severity: "error",
    effect: "that subject is nobody",
    remedy: "use kind ServiceAccount",
  },
  TargetDestinationUnmatched: {
    severity: "warning",
    effect: "the target opens nothing",
    remedy: "correct the ServiceAccount's name or namespace, or start a Pod that runs as it",
  },
  TargetSourceUnmatched: {
    severity: "warning",
    effect: "that source is nobody now",
    remedy: "correct the ServiceAccount's name or namespace, or start a Pod that runs as it",
  },
  TargetSourceNamespaceMissing: {
    severity: "error",
    effect: "that source is nobody",
    remedy: "write the source's namespace",
  },
  TargetSourcesMissing: {
    severity: "error",
    effect: "the target opens nothing",
    remedy: "name at least one source",
  },
  TargetRuleUnresolved: {
    severity: "error",
    effect: "the whole target opens nothing",
    remedy: "create the route in the target's namespace, or correct the reference",
  },
  TargetRulesMissing: {
    severity: "error",
    effect: "the target opens nothing",
    remedy: "name at least one route in spec.rules",
  },
  TargetWithoutRules: {
    severity: "warning",
    effect: "its sources may make every HTTP request, and no TCP or UDP one",
    remedy: "name an HTTPRouteGroup in spec.rules, to say which requests are meant",
  },
  TargetPortUnmatched: {
    severity: "warning",
    effect: "the target opens nothing on that port",
    remedy: "give a port on which the destination's Pods serve (the Pod's port, not the Service's)",
  },
  TargetPortMisplaced: {
    severity: "warning",
    effect: "it is in force",
    remedy: "name a TCPRoute or UDPRoute with that port among the rules, as this version has no destination.port",
  },
  RegexInvalid: {
    severity: "error",
    effect: "this match fits no request",
    remedy: "write it in RE2 syntax",
  },
  MatchInvalid: {
    severity: "error",
    effect: "this match fits no request",
    remedy: "correct the field",
  },
  MatchNameDuplicate: {
    severity: "warning",
    effect: "the name means the first one",
    remedy: "give each match of the group its own name",
  },

  // Traefik as the proxy
  TraefikPortMissing: {
    severity: "error",
    effect: "Traefik does not serve this port",
    remedy: "give Traefik more entry points, or the Service fewer ports",
  },
  TraefikUdpDenied: {
    severity: "error",
    effect: "under access control Traefik drops every datagram to it",
    remedy: "run Tulle's own proxy, or call it past the mesh",
  },
  TraefikMatchUnsupported: {
    severity: "error",
    effect:
      "in Traefik this match fits no request; where a split has it, access control refuses what fits the rest of it",
    remedy: "match on something else, or run Tulle's own proxy",
  },
  TraefikRouteUnsupported: {
    severity: "error",
    effect: "Traefik refuses every call that it would serve",
    remedy: "make it simpler, or run Tulle's own proxy",
  },
  TraefikSplitStricter: {
    severity: "warning",
    effect: "Traefik lets only those through who may reach all of them",
    remedy: "let the Pods of a backend run as one ServiceAccount, and targets open the same ports of it",
  },
  TraefikEndpointsApart: {
    severity: "warning",
    effect: "Traefik sends a call that both allow to the endpoints of the first alone",
    remedy: "let the Service's Pods run as one ServiceAccount, and targets open the same ports of it",
  },
  TraefikLimitsApart: {
    severity: "warning",
    effect: "in Traefik each of them has a rate limit and a circuit breaker of its own",
    remedy: "set the limit for each of them, or run Tulle's own proxy",
  },
  TraefikBackendMiddlewares: {
    severity: "warning",
    effect: "in Traefik calls by way of the split go without them",
    remedy: "annotate the root Service",
  },
  TraefikSettingIgnored: {
    severity: "warning",
    effect: "with Traefik as the proxy it does nothing",
    remedy: "delete it, or run Tulle's own proxy",
  },
  TraefikAuditUnsupported: {
    severity: "warning",
    effect: "Traefik denies nothing, and does not report what it would deny",
    remedy: "switch access control on or off, or run Tulle's own proxy",
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof PROBLEMS;

/** A wrong object, as data: it never stops the objects beside it. */
export interface Problem {
  readonly code: ProblemCode;
  readonly severity: "error" | "warning";
  readonly object: ObjectRef;
  /** Path of the field, as `kubectl explain` writes it: `spec.backends[1].service`; empty for the whole object. */
  readonly field: string;
  /** One sentence: what is wrong, what follows, what to do. */
  readonly message: string;
}

/**
 * @param detail what is wrong here, as the start of a sentence, without its full stop:
 *   `backend "whoami-v3" is not a Service of namespace whoami`
 */
export function problem(code: ProblemCode, object: ObjectRef, field: string, detail: string): Problem {
  const { severity, effect, remedy } = PROBLEMS[code];
  return { code, severity, object, field, message: `${detail}: ${effect}; ${remedy}.` };
}

/** The same, of an object whose source keeps what it said before. */
export function afterEdit(found: Problem): Problem {
  const { effect, effectOfEdit, remedy }: ProblemKind = PROBLEMS[found.code];
  const end = `: ${effect}; ${remedy}.`;
  if (effectOfEdit === undefined || !found.message.endsWith(end)) return found;
  return { ...found, message: `${found.message.slice(0, -end.length)}: ${effectOfEdit}; ${remedy}.` };
}

/** `error ManifestInvalid Service whoami/whoami spec.ports[0].port: …` */
export function formatProblem(p: Problem): string {
  return `${p.severity} ${p.code} ${formatRef(p.object)}${p.field === "" ? "" : ` ${p.field}`}: ${p.message}`;
}
