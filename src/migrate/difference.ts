/** What is different with Tulle than it was with Traefik Mesh 1.4, tied to an object. */
import type { ObjectRef } from "../model/objects.ts";

/**
 * `breaks`: calls that are served would not be. `opens`: calls that are refused would be served. `lost`: a setting that
 * Tulle has nothing for. `differs`: something else comes out, and nothing that is relied on.
 */
export type Effect = "breaks" | "opens" | "lost" | "differs";
export const EFFECTS: readonly Effect[] = ["breaks", "opens", "lost", "differs"];

export interface Difference {
  readonly code: DifferenceCode;
  readonly effect: Effect;
  readonly object: ObjectRef;
  /** Within the object; empty: all of it. */
  readonly field: string;
  /** What was so far, and what will be: the same for all of a code. */
  readonly says: string;
  /** What it is with this object; may be empty. */
  readonly detail: string;
  readonly todo: string;
}

interface DifferenceKind {
  readonly effect: Effect;
  /** What was so far, and what will be. */
  readonly means: string;
  /** Empty: nothing. */
  readonly todo: string;
}

/** Every difference that is told. The codes are stable: they are headings of docs/migrate.md. */
export const DIFFERENCES = {
  // The installation.
  AccessControlUnknown: {
    effect: "opens",
    means:
      "nothing says whether access control was on; the new file has no acl, and so lets every call through. TrafficTargets were looked at as if it was on",
    todo: "give the old values with --values FILE, or write acl into the new file: on, audit or off",
  },
  ValueLost: {
    effect: "lost",
    means: "the value has no equivalent in Tulle's chart",
    todo: "look whether you need what it did; docs/values.md has what there is",
  },
  ValueUnknown: {
    effect: "lost",
    means: "the value is none of Traefik Mesh's chart that Tulle knows, and is not in the new file",
    todo: "look in docs/values.md for what it did, or drop it",
  },
  TracerLost: {
    effect: "lost",
    means: "there are several tracers in the old values, and Tulle sends spans to one",
    todo: "let that one pass the spans on, or write the other into tracing.endpoint: docs/tracing.md",
  },
  TracerSpeaksOtlp: {
    effect: "lost",
    means: "the tracer's own protocol is not spoken; the new file has the port of OTLP on the same host",
    todo: "see that something takes OTLP there, and correct tracing.endpoint: docs/tracing.md",
  },
  ResourcesTooSmall: {
    effect: "lost",
    means:
      "requests and limits were for other programs; what is below the needs of Tulle's is left out, and a limit of CPU makes calls wait",
    todo: "",
  },
  ArgumentLost: {
    effect: "lost",
    means: "a flag of Traefik has no equivalent in Tulle's proxy",
    todo: "see docs/values.md and docs/annotations.md for what there is",
  },
  VariableLost: {
    effect: "lost",
    means: "an environment variable was for Traefik, and Tulle does not read it",
    todo: "drop it, or set what it did in the values",
  },
  ValueNeedless: {
    effect: "differs",
    means: "the value is not needed any more, and is not in the new file",
    todo: "",
  },
  SmiVersionsOld: {
    effect: "differs",
    means:
      "the cluster's SMI definitions serve one old version each; Tulle reads all versions, and Helm leaves them as they are",
    todo: "until you want newer versions, nothing: kubectl apply --server-side --force-conflicts -f chart/crds/",
  },

  // Services.
  AnnotationDropped: {
    effect: "opens",
    means:
      "a wrong annotation kept the whole Service out of the mesh; now it alone is not in force, and the Service is served",
    todo: "correct the annotation, or delete it",
  },
  NameGained: {
    effect: "differs",
    means:
      "the names of the Service, its namespace and the mesh's were too long together for a mesh name; now it has one",
    todo: "",
  },
  PortGained: {
    effect: "differs",
    means: "the port was over the limit of ports, or its range was full; now it is served",
    todo: "",
  },
  KeysCollided: {
    effect: "differs",
    means: "two Services had the same key, and one overwrote the other; now each is served",
    todo: "",
  },
  CertificateChecked: {
    effect: "breaks",
    means:
      "the certificate of an HTTPS endpoint was checked against the Pod's address, or not at all with insecureSkipVerify; now against the name SERVICE.NAMESPACE.svc and the public authorities",
    todo: 'set tulle.dev/tls-server-name, proxy.upstreamCaConfigMap, or tulle.dev/tls-verify: "false" on the Service',
  },

  // Access control.
  TargetsAddUp: {
    effect: "opens",
    means:
      "several TrafficTargets for one Service competed, and one of them alone decided a request; now they add up, as SMI says",
    todo: "see that each of them alone is what you mean: tulle explain says who may call what",
  },
  TcpSourcesChecked: {
    effect: "breaks",
    means: "a target opened a TCP Service to every caller, whatever sources it names; now to its sources alone",
    todo: "add whoever else calls it to the sources",
  },
  HttpNeedsHttpRoute: {
    effect: "breaks",
    means: "a target with nothing but TCPRoutes let every HTTP request of its sources through; now it opens no HTTP",
    todo: "add an HTTPRouteGroup to its rules",
  },
  TargetWithoutRules: {
    effect: "differs",
    means:
      "a target without rules allows every HTTP request of its sources, as before; from v1alpha3 on it would allow nothing",
    todo: "give it an HTTPRouteGroup before you change its version",
  },
  PortOfPod: {
    effect: "breaks",
    means:
      "destination.port opened the first HTTP port of a Service whatever it names, and never a named targetPort; now it opens the Pod's port of that number",
    todo: "see that it is the port that the Pods listen on",
  },
  MatchAllMethods: {
    effect: "opens",
    means: 'a match with nothing but methods "*" was dropped where there are others; now it matches every request',
    todo: "delete the match, if the others are what you mean",
  },
  PathNowMatches: {
    effect: "opens",
    means: "a pathRegex that no router could be made of, or that never matched, matches now",
    todo: "see that it says what you mean: it is anchored at the start of the path and open at its end",
  },
  PathAlternatives: {
    effect: "opens",
    means:
      "a slash was put before the whole of the alternatives of a pathRegex; now each is matched as it is written too",
    todo: "see that each alternative says what you mean",
  },
  SubjectKindChecked: {
    effect: "breaks",
    means: "the kind of a subject was never looked at; now only ServiceAccount is a subject",
    todo: "write kind: ServiceAccount",
  },
  VersionNowRead: {
    effect: "opens",
    means: "the object is of a version that Traefik Mesh did not read; Tulle does, and it comes into force",
    todo: "see that it says what you mean, or delete it",
  },
  SplitCallersChecked: {
    effect: "breaks",
    means:
      "who called through a split was known by the header X-Forwarded-For, which any caller could write; now by the address it calls from, and it must be allowed on every backend for that very request",
    todo: "see that every caller has a TrafficTarget for each backend: acl=audit tells who has none",
  },
  SplitUnderAccessControl: {
    effect: "breaks",
    means: "splits of TCP and UDP passed by access control; now callers must be allowed on every backend",
    todo: "give them TrafficTargets for each backend",
  },
  PortBehindSplitOpened: {
    effect: "opens",
    means:
      "the second and later ports of a Service that is a backend of a split could not be called directly; now its targets decide that",
    todo: "",
  },

  // Splits.
  SplitsCompete: {
    effect: "differs",
    means:
      "of several TrafficSplits of one Service a random one was in force; now the oldest is, and the others are problems",
    todo: "delete the others",
  },
  SplitCycleCut: {
    effect: "differs",
    means: "a split that leads back to its own root looped, or was dropped; now the root is served as if it had none",
    todo: "take the cycle out",
  },
  SplitWithoutBackends: {
    effect: "differs",
    means: "a split without a backend that can be used, or without weight, answered 500; now the root itself is called",
    todo: "correct its backends",
  },
  SplitPortsOfBackends: {
    effect: "differs",
    means: "a split of TCP or UDP called its backends on the root's targetPort; now on the port of each backend",
    todo: "",
  },
  SplitHttps: {
    effect: "differs",
    means: "a split with scheme https failed; now it is served",
    todo: "",
  },
} as const satisfies Readonly<Record<string, DifferenceKind>>;

export type DifferenceCode = keyof typeof DIFFERENCES;

/** @param detail what it is with this object */
export function difference(code: DifferenceCode, object: ObjectRef, field: string, detail: string): Difference {
  const { effect, means, todo } = DIFFERENCES[code];
  return { code, effect, object, field, says: means, detail, todo };
}

/** What breaks first, by code within that, and by object. */
export function byEffect(a: Difference, b: Difference): number {
  const order = Object.keys(DIFFERENCES);
  const key = ({ effect, object, code, field, detail }: Difference) =>
    `${EFFECTS.indexOf(effect)} ${String(order.indexOf(code)).padStart(3)} ${object.namespace}/${object.name} ${field} ${detail}`;
  const [left, right] = [key(a), key(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
