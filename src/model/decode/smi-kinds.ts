/**
 * SMI's kinds in every version of the specification, into one form. A field that the object's version does not have is
 * refused, as `kubectl apply` does: what its author took for a restriction (`method` for `methods`, ports in a TCPRoute
 * of v1alpha3) must not be passed over, or the object would open more than was meant.
 */
import { z } from "zod";
import type {
  HTTPRouteGroup,
  HttpRouteMatch,
  TargetRule,
  TargetSubject,
  TCPRoute,
  TrafficSplit,
  TrafficTarget,
  UDPRoute,
} from "../objects.ts";
import type { KindDecoder } from "./decode-object.ts";
import { quantityThousandths } from "./quantity.ts";
import { MetaSchema, metaOf, orEmpty, portNumber } from "./schemas.ts";

/** These fields and no others. */
function fields<S extends z.core.$ZodLooseShape>(shape: S) {
  return z.strictObject(shape, {
    error: ({ code }) =>
      code === "unrecognized_keys"
        ? `no field of this version; its fields here are ${Object.keys(shape).join(", ") || "none"}`
        : undefined,
  });
}

/** A whole object, with what is its own beside what every object has. */
const whole = <S extends z.core.$ZodLooseShape>(shape: S) =>
  fields({ apiVersion: z.string(), kind: z.string(), metadata: MetaSchema, ...shape });

// ── specs.smi-spec.io ──

/** The specification's text has a map; its schemas have a list of maps. Both are written. */
const HeadersSchema = z
  .union([z.record(z.string(), z.string()), z.array(z.record(z.string(), z.string()))], {
    error: "a map from header name to regular expression, or a list of such maps, is expected",
  })
  .transform((raw) => (Array.isArray(raw) ? raw : [raw]).flatMap((each) => Object.entries(each)))
  .transform((entries) => entries.map(([name, value]) => ({ name, value })));

const MATCH_FIELDS = {
  name: z.string().min(1),
  pathRegex: z.string().nullish(),
  methods: orEmpty(z.array(z.string())),
};

function httpMatch(raw: {
  readonly name: string;
  readonly pathRegex?: string | null | undefined;
  readonly methods?: readonly string[] | null | undefined;
  readonly headers?: HttpRouteMatch["headers"] | null | undefined;
}): HttpRouteMatch {
  return {
    name: raw.name,
    ...(raw.pathRegex == null ? {} : { pathRegex: raw.pathRegex }),
    ...(raw.methods == null ? {} : { methods: raw.methods }),
    ...(raw.headers == null ? {} : { headers: raw.headers }),
  };
}

function routeGroup(version: string) {
  const match =
    version === "v1alpha1" ? fields(MATCH_FIELDS) : fields({ ...MATCH_FIELDS, headers: orEmpty(HeadersSchema) });
  const matches = orEmpty(z.array(match.transform(httpMatch)));
  const group = (metadata: z.infer<typeof MetaSchema>, found: HttpRouteMatch[] | null | undefined): HTTPRouteGroup => ({
    kind: "HTTPRouteGroup",
    meta: metaOf(metadata),
    version,
    matches: found ?? [],
  });
  // From v1alpha3 on, the matches are under `spec`.
  return version === "v1alpha1" || version === "v1alpha2"
    ? whole({ matches }).transform((raw) => group(raw.metadata, raw.matches))
    : whole({ spec: fields({ matches }) }).transform((raw) => group(raw.metadata, raw.spec.matches));
}

const PortsSchema = fields({ name: z.string().nullish(), ports: orEmpty(z.array(portNumber)) });

function portRoute<K extends "TCPRoute" | "UDPRoute">(kind: K, version: string) {
  const route = (metadata: z.infer<typeof MetaSchema>, ports: readonly number[] | null | undefined) => ({
    kind,
    meta: metaOf(metadata),
    version,
    ...(ports == null ? {} : { ports }),
  });
  // Only v1alpha4 has ports; before it, a route is all of them.
  const schema =
    version === "v1alpha4"
      ? whole({ spec: orEmpty(fields({ matches: orEmpty(PortsSchema) })) }).transform(({ metadata, spec }) =>
          route(metadata, spec?.matches?.ports),
        )
      : whole({ spec: orEmpty(fields({})) }).transform(({ metadata }) => route(metadata, undefined));
  return schema as unknown as z.ZodType<K extends "TCPRoute" ? TCPRoute : UDPRoute>;
}

// ── access.smi-spec.io ──

const ACCOUNT_FIELDS = {
  kind: z.string(),
  name: z.string(),
  namespace: z.string().nullish(),
  port: z.int().min(0).max(65535).nullish(),
};

/** The type of a source has a port too, which means nothing. */
const SourceSchema = fields(ACCOUNT_FIELDS).transform(
  ({ kind, name, namespace }): TargetSubject => ({ kind, name, ...(namespace ? { namespace } : {}) }),
);

/**
 * v1alpha3 has no port, but an object of v1alpha2 that was edited by way of it still does; leaving it out would open the
 * others.
 */
const DestinationSchema = fields(ACCOUNT_FIELDS).transform(({ kind, name, namespace, port }) => ({
  kind,
  name,
  ...(namespace ? { namespace } : {}),
  ...(port == null ? {} : { port }),
}));

const RuleSchema = fields({ kind: z.string(), name: z.string(), matches: orEmpty(z.array(z.string())) }).transform(
  ({ kind, name, matches: named }): TargetRule => ({ kind, name, ...(named == null ? {} : { matches: named }) }),
);
const rules = orEmpty(z.array(RuleSchema));
const ends = { destination: DestinationSchema, sources: orEmpty(z.array(SourceSchema)) };

function trafficTarget(version: string) {
  const target = (
    metadata: z.infer<typeof MetaSchema>,
    destination: z.infer<typeof DestinationSchema>,
    named: TargetRule[] | null | undefined,
    sources: TargetSubject[] | null | undefined,
  ): TrafficTarget => ({
    kind: "TrafficTarget",
    meta: metaOf(metadata),
    version,
    destination,
    ...(named == null ? {} : { rules: named }),
    sources: sources ?? [],
  });
  return version === "v1alpha1"
    ? whole({ ...ends, specs: rules }).transform((raw) => target(raw.metadata, raw.destination, raw.specs, raw.sources))
    : whole({ spec: fields({ ...ends, rules }) }).transform(({ metadata, spec }) =>
        target(metadata, spec.destination, spec.rules, spec.sources),
      );
}

// ── split.smi-spec.io ──

/** Whoever counts with weights has room for these, and for the sum of many. */
const MAX_WEIGHT = 1_000_000;
const WeightSchema = z.number().min(0).max(MAX_WEIGHT);
/** v1alpha1: a Kubernetes quantity, `100m` or `1`. */
const QUANTITY_EXPECTED = "a quantity such as 500m or 1, and at most 1M, is expected";
const QuantitySchema = z
  .union([z.string(), z.number()], { error: QUANTITY_EXPECTED })
  .transform((raw) => quantityThousandths(raw) ?? Number.NaN)
  .refine((thousandths) => thousandths <= 1_000 * MAX_WEIGHT, QUANTITY_EXPECTED);

function trafficSplit(version: string) {
  const weight: z.ZodType<number> = version === "v1alpha1" ? QuantitySchema : WeightSchema;
  const common = {
    service: z.string().min(1),
    backends: z.array(fields({ service: z.string().min(1), weight: orEmpty(weight) })),
  };
  const matches = orEmpty(z.array(fields({ apiGroup: z.string().nullish(), kind: z.string(), name: z.string() })));
  const split = (
    metadata: z.infer<typeof MetaSchema>,
    { service, backends }: { service: string; backends: { service: string; weight?: number | null | undefined }[] },
    named: readonly { kind: string; name: string }[],
  ): TrafficSplit => ({
    kind: "TrafficSplit",
    meta: metaOf(metadata),
    version,
    service,
    backends: backends.map((backend) => ({ service: backend.service, weight: backend.weight ?? 0 })),
    matches: named.map(({ kind, name }) => ({ kind, name })),
  });
  return version === "v1alpha1" || version === "v1alpha2"
    ? whole({ spec: fields(common) }).transform(({ metadata, spec }) => split(metadata, spec, []))
    : whole({ spec: fields({ ...common, matches }) }).transform(({ metadata, spec }) =>
        split(metadata, spec, spec.matches ?? []),
      );
}

function kind(
  group: string,
  versions: readonly string[],
  schemaOf: (version: string) => z.ZodType<HTTPRouteGroup | TCPRoute | UDPRoute | TrafficTarget | TrafficSplit>,
): KindDecoder {
  const schemas = new Map(versions.map((version) => [version, schemaOf(version)]));
  return {
    group,
    versions,
    namespaced: true,
    decode: (raw, version) => (schemas.get(version) as ReturnType<typeof schemaOf>).safeParse(raw),
  };
}

const FOUR = ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"];

export const SMI_KINDS: Readonly<Record<string, KindDecoder>> = {
  HTTPRouteGroup: kind("specs.smi-spec.io", FOUR, routeGroup),
  TCPRoute: kind("specs.smi-spec.io", FOUR, (version) => portRoute("TCPRoute", version)),
  UDPRoute: kind("specs.smi-spec.io", ["v1alpha4"], (version) => portRoute("UDPRoute", version)),
  TrafficTarget: kind("access.smi-spec.io", ["v1alpha1", "v1alpha2", "v1alpha3"], trafficTarget),
  TrafficSplit: kind("split.smi-spec.io", FOUR, trafficSplit),
};
