/**
 * MeshConfig: the only thing that a proxy knows. Plain data: no `null`, no `undefined`, collections as records by a
 * stable key, so that a difference between two is a JSON Merge Patch (see delta.ts) and its content has one hash.
 *
 * Its route model is a superset of what SMI and the Gateway API's HTTPRoute and GRPCRoute can say; each API is a front
 * end that compiles to it. Nothing is in it that the proxy does not put in force.
 */
import { z } from "zod";

const port = z.int().min(1).max(65535);
/** `namespace/service:port`, a Service's port by its number. */
const servicePortKey = z.string();
/** `namespace/serviceAccount`. */
const identity = z.string();

/** The object that decides, for explain, traces and logs. */
const OriginSchema = z.strictObject({ kind: z.string(), namespace: z.string(), name: z.string() });

const PathMatchSchema = z.strictObject({
  /**
   * `regex`: RE2 syntax, anchored at the start and open at the end, on the decoded path. `prefix`: whole segments.
   * `exact`: byte for byte.
   */
  type: z.enum(["exact", "prefix", "regex"]),
  value: z.string(),
});

const FieldMatchSchema = z.strictObject({
  /** Header names in lower case; query parameter names as they are. */
  name: z.string(),
  /** `regex`: RE2 syntax, searched in the value. */
  type: z.enum(["exact", "regex"]),
  value: z.string(),
});

/** All conditions hold together; one that is absent holds always. */
const HttpMatchSchema = z.strictObject({
  /** How the user's object calls it. */
  name: z.string().exactOptional(),
  path: PathMatchSchema.exactOptional(),
  methods: z.array(z.string()).exactOptional(),
  headers: z.array(FieldMatchSchema).exactOptional(),
  query: z.array(FieldMatchSchema).exactOptional(),
});

const HeaderChangeSchema = z.strictObject({
  set: z.record(z.string(), z.string()).exactOptional(),
  add: z.record(z.string(), z.string()).exactOptional(),
  /** In lower case. */
  remove: z.array(z.string()).exactOptional(),
});

const PathChangeSchema = z.strictObject({
  /** `prefix` replaces what the route's prefix match matched. */
  type: z.enum(["full", "prefix"]),
  value: z.string(),
});

const FilterSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("requestHeaders"), ...HeaderChangeSchema.shape }),
  z.strictObject({ type: z.literal("responseHeaders"), ...HeaderChangeSchema.shape }),
  z.strictObject({
    type: z.literal("redirect"),
    scheme: z.string().exactOptional(),
    host: z.string().exactOptional(),
    port: port.exactOptional(),
    path: PathChangeSchema.exactOptional(),
    status: z.union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)]),
  }),
  z.strictObject({
    type: z.literal("rewrite"),
    host: z.string().exactOptional(),
    path: PathChangeSchema.exactOptional(),
  }),
]);

const BackendSchema = z.strictObject({
  servicePort: servicePortKey,
  /** Relative; 0 gets nothing. Shares are exact over time (smooth weighted round robin). */
  weight: z.number().min(0),
  /** The backend's own routes apply in turn (a split of a split). The compiler lets no cycle through. */
  routed: z.literal(true).exactOptional(),
  filters: z.array(FilterSchema).exactOptional(),
});

const RouteSchema = z.strictObject({
  origin: OriginSchema,
  /** One of them fits; an empty list fits every request. */
  matches: z.array(HttpMatchSchema),
  /** Only calls from these namespaces (consumer routes); absent: from anywhere. */
  callerNamespaces: z.array(z.string()).exactOptional(),
  filters: z.array(FilterSchema).exactOptional(),
  backends: z.array(BackendSchema),
  /** Milliseconds from the whole head read to the whole answer sent, tries included. */
  requestTimeoutMs: z.number().exactOptional(),
});

/** Circuit breaker expression as a tree; the compiler parses the annotation. */
export type BreakerExpression =
  | { readonly any: readonly BreakerExpression[] }
  | { readonly all: readonly BreakerExpression[] }
  | BreakerComparison;

export type BreakerOperator = ">" | ">=" | "<" | "<=" | "==" | "!=";
export type BreakerComparison =
  | { readonly metric: "networkErrorRatio"; readonly operator: BreakerOperator; readonly value: number }
  | {
      readonly metric: "responseCodeRatio";
      /** from, to, dividedByFrom, dividedByTo: half-open ranges of status codes. */
      readonly codes: readonly [number, number, number, number];
      readonly operator: BreakerOperator;
      readonly value: number;
    }
  | {
      readonly metric: "latencyAtQuantileMs";
      /** 0 to 100. */
      readonly quantile: number;
      readonly operator: BreakerOperator;
      readonly value: number;
    };

const operator = z.enum([">", ">=", "<", "<=", "==", "!="]);
const BreakerExpressionSchema: z.ZodType<BreakerExpression> = z.lazy(() =>
  z.union([
    z.strictObject({ any: z.array(BreakerExpressionSchema) }),
    z.strictObject({ all: z.array(BreakerExpressionSchema) }),
    z.strictObject({ metric: z.literal("networkErrorRatio"), operator, value: z.number() }),
    z.strictObject({
      metric: z.literal("responseCodeRatio"),
      codes: z.tuple([z.int(), z.int(), z.int(), z.int()]),
      operator,
      value: z.number(),
    }),
    z.strictObject({ metric: z.literal("latencyAtQuantileMs"), quantile: z.number(), operator, value: z.number() }),
  ]),
);

const RetrySchema = z.strictObject({
  /** Tries in all; 1 means none after the first. */
  attempts: z.int().min(1),
  /** What is tried again; absent: all of them. */
  on: z.array(z.enum(["connectFailure", "reset", "timeout"])).exactOptional(),
  /** Answers that are tried again, as half-open ranges of status codes from 400 to 600; absent: none. */
  statuses: z.array(z.tuple([z.int().min(400).max(599), z.int().min(401).max(600)])).exactOptional(),
  /** Of the service port's requests, those that may be sent again. */
  budgetPercent: z.int().min(1).max(100).exactOptional(),
});

/** In the order in which an exchange meets them. One state for each service port, whichever way it is reached. */
const MiddlewaresSchema = z.strictObject({
  /** Tokens a second and bucket size, for each caller address. */
  rateLimit: z.strictObject({ average: z.int().min(1), burst: z.int().min(1) }).exactOptional(),
  circuitBreaker: z.strictObject({ expression: BreakerExpressionSchema }).exactOptional(),
  retry: RetrySchema.exactOptional(),
});

const durationMs = z.number().min(1);

/** What is absent is as the proxy has it. */
const TimeoutsSchema = z.strictObject({
  /** To a connection that can be used, TLS included. */
  connectMs: durationMs.exactOptional(),
  /** HTTP: from the whole head read to the whole answer sent, tries included. */
  requestMs: durationMs.exactOptional(),
  /** HTTP: from picking an endpoint to its answer's head. */
  tryMs: durationMs.exactOptional(),
  /** Of which no byte moved. */
  idleMs: durationMs.exactOptional(),
});

/** When an endpoint that fails is left out for a while. */
const EjectionSchema = z.strictObject({
  /** In a row, of any kind; 0: never. Absent: five connections that could not be made. */
  failures: z.int().min(0).exactOptional(),
  /** Of the endpoints that may be left out at a time. */
  ceilingPercent: z.int().min(1).max(100).exactOptional(),
});

const BalancingSchema = z.strictObject({
  /** Absent: leastRequests. */
  algorithm: z.enum(["leastRequests", "ewma", "roundRobin"]).exactOptional(),
  /** New endpoints get a growing share for so long. */
  slowStartMs: durationMs.exactOptional(),
  ejection: EjectionSchema.exactOptional(),
  /** Endpoints of the proxy's node or zone before others, while there is one. */
  prefer: z.enum(["node", "zone"]).exactOptional(),
});

/** For each proxy. */
const LimitsSchema = z.strictObject({
  /** To the endpoints, open or being opened. */
  maxConnections: z.int().min(1),
  /** Exchanges and flows that wait for one of them. */
  maxPending: z.int().min(0).exactOptional(),
});

const EndpointSchema = z.strictObject({
  /** Absent: nobody's, and access control denies it. */
  identity: identity.exactOptional(),
  /** `namespace/pod`. */
  pod: z.string().exactOptional(),
  node: z.string().exactOptional(),
  zone: z.string().exactOptional(),
  /** The port that is dialled, where that is not the Pod's own (a loopback port that could not be bound). */
  dialPort: port.exactOptional(),
});

const ServicePortSchema = z.strictObject({
  namespace: z.string(),
  service: z.string(),
  port,
  trafficType: z.enum(["http", "tcp", "udp"]),
  /** How HTTP is spoken to the endpoints. */
  scheme: z.enum(["http", "https", "h2c"]),
  /**
   * With scheme https. `serverName` is sent to the endpoint (SNI); its certificate must be for that name or for the
   * endpoint's address, unless `verify` is off.
   */
  tls: z.strictObject({ verify: z.boolean(), serverName: z.string() }).exactOptional(),
  middlewares: MiddlewaresSchema,
  timeouts: TimeoutsSchema.exactOptional(),
  limits: LimitsSchema.exactOptional(),
  balancing: BalancingSchema.exactOptional(),
  /** The first that fits decides; none fits: 404. Absent: straight to the endpoints. */
  routes: z.array(RouteSchema).exactOptional(),
  /** By `address:port`, IPv6 in brackets. */
  endpoints: z.record(z.string(), EndpointSchema),
});

const EntrypointSchema = z.strictObject({
  /** `0.0.0.0` or `::` for every address. */
  address: z.string(),
  port,
  transport: z.enum(["tcp", "udp"]),
  /** What a connection to this address and port means. */
  servicePort: servicePortKey,
});

/** What one TrafficTarget allows; rules add up, and what no rule allows is denied. */
const AccessRuleSchema = z.strictObject({
  origin: OriginSchema,
  destination: identity,
  sources: z.array(identity),
  /** Absent: opens no HTTP. Empty matches: every request. `ports`: the pod's ports; absent: all. */
  http: z.strictObject({ ports: z.array(port).exactOptional(), matches: z.array(HttpMatchSchema) }).exactOptional(),
  tcp: z.strictObject({ ports: z.array(port).exactOptional() }).exactOptional(),
  udp: z.strictObject({ ports: z.array(port).exactOptional() }).exactOptional(),
});

const WorkloadSchema = z.strictObject({
  namespace: z.string(),
  pod: z.string(),
  serviceAccount: z.string(),
  /** What the Pod is one of (Deployment, StatefulSet, Job…), for metrics and logs; absent: it is on its own. */
  workload: z.string().exactOptional(),
  node: z.string().exactOptional(),
  zone: z.string().exactOptional(),
});

export const MeshConfigSchema = z.strictObject({
  schema: z.literal(1),
  accessControl: z.enum(["off", "audit", "on"]),
  /** The zones whose names lead through the mesh, for DNS: `service.namespace.domain`. */
  meshDomains: z.array(z.string()),
  /** Addresses of each mesh name, by `namespace/service`. */
  names: z.record(z.string(), z.array(z.string())),
  /** By `address:port/transport`; those that several service ports share, by `address:port/transport/servicePort`. */
  entrypoints: z.record(z.string(), EntrypointSchema),
  /** By `namespace/service:port`. */
  servicePorts: z.record(z.string(), ServicePortSchema),
  /** By `namespace/target`. */
  accessRules: z.record(z.string(), AccessRuleSchema),
  /** Who calls, by address: the identity table. */
  workloads: z.record(z.string(), WorkloadSchema),
});

export type MeshConfig = z.infer<typeof MeshConfigSchema>;
export type ServicePort = z.infer<typeof ServicePortSchema>;
export type UpstreamTls = NonNullable<ServicePort["tls"]>;
export type Entrypoint = z.infer<typeof EntrypointSchema>;
export type Endpoint = z.infer<typeof EndpointSchema>;
export type Route = z.infer<typeof RouteSchema>;
export type Backend = z.infer<typeof BackendSchema>;
export type Filter = z.infer<typeof FilterSchema>;
export type HeaderChange = z.infer<typeof HeaderChangeSchema>;
export type HttpMatch = z.infer<typeof HttpMatchSchema>;
export type PathMatch = z.infer<typeof PathMatchSchema>;
export type FieldMatch = z.infer<typeof FieldMatchSchema>;
export type Middlewares = z.infer<typeof MiddlewaresSchema>;
export type Retry = z.infer<typeof RetrySchema>;
export type Timeouts = z.infer<typeof TimeoutsSchema>;
export type Balancing = z.infer<typeof BalancingSchema>;
export type Ejection = z.infer<typeof EjectionSchema>;
export type Limits = z.infer<typeof LimitsSchema>;
export type AccessRule = z.infer<typeof AccessRuleSchema>;
export type AccessMode = MeshConfig["accessControl"];
export type TrafficType = ServicePort["trafficType"];
export type Workload = z.infer<typeof WorkloadSchema>;
export type Origin = z.infer<typeof OriginSchema>;

/** How many service ports a call passes at most, where splits lead to splits; the compiler lets no more through. */
export const MAX_PATH = 16;

/** `namespace/service:port` */
export function servicePortKeyOf(namespace: string, service: string, portNumber: number): string {
  return `${namespace}/${service}:${portNumber}`;
}

/** `127.1.0.4:80`, `[fd00::4]:80` */
export function addressPort(address: string, portNumber: number): string {
  return address.includes(":") ? `[${address}]:${portNumber}` : `${address}:${portNumber}`;
}

/** The reverse of addressPort. */
export function splitAddressPort(text: string): { address: string; port: number } {
  const colon = text.lastIndexOf(":");
  const address = text.slice(0, colon);
  return {
    address: address.startsWith("[") ? address.slice(1, -1) : address,
    port: Number(text.slice(colon + 1)),
  };
}

/** Pods that the mesh knows as callers, as `namespace/pod`; in the order of their addresses. */
export function callersOf(config: MeshConfig | undefined): string[] {
  return Object.values(config?.workloads ?? {}).map(({ namespace, pod }) => `${namespace}/${pod}`);
}

/** A mesh without anything, from which a proxy starts. */
export function emptyMeshConfig(): MeshConfig {
  return {
    schema: 1,
    accessControl: "off",
    meshDomains: [],
    names: {},
    entrypoints: {},
    servicePorts: {},
    accessRules: {},
    workloads: {},
  };
}
