/** SMI's kinds in every version of the specification, into one form. */
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
import { MetaSchema, metaOf, orEmpty, portNumber } from "./schemas.ts";

// ── specs.smi-spec.io ──

/** The specification's text has a map; its schemas have a list of maps. Both are written. */
const HeadersSchema = z
  .union([z.record(z.string(), z.string()), z.array(z.record(z.string(), z.string()))], {
    error: "a map from header name to regular expression, or a list of such maps, is expected",
  })
  .transform((raw) => (Array.isArray(raw) ? raw : [raw]).flatMap((each) => Object.entries(each)))
  .transform((entries) => entries.map(([name, value]) => ({ name, value })));

const MatchSchema = z
  .looseObject({
    name: z.string().min(1),
    pathRegex: z.string().nullish(),
    methods: orEmpty(z.array(z.string())),
    headers: orEmpty(HeadersSchema),
  })
  .transform(
    (raw): HttpRouteMatch => ({
      name: raw.name,
      ...(raw.pathRegex == null ? {} : { pathRegex: raw.pathRegex }),
      ...(raw.methods == null ? {} : { methods: raw.methods }),
      ...(raw.headers == null ? {} : { headers: raw.headers }),
    }),
  );
const matches = orEmpty(z.array(MatchSchema));

function routeGroup(version: string) {
  const base = z.looseObject({ metadata: MetaSchema });
  const group = (metadata: z.infer<typeof MetaSchema>, found: HttpRouteMatch[] | null | undefined): HTTPRouteGroup => ({
    kind: "HTTPRouteGroup",
    meta: metaOf(metadata),
    version,
    matches: found ?? [],
  });
  // From v1alpha3 on, the matches are under `spec`.
  return version === "v1alpha1" || version === "v1alpha2"
    ? base.extend({ matches }).transform((raw) => group(raw.metadata, raw.matches))
    : base.extend({ spec: z.looseObject({ matches }) }).transform((raw) => group(raw.metadata, raw.spec.matches));
}

const PortRouteSchema = z.looseObject({
  metadata: MetaSchema,
  spec: orEmpty(z.looseObject({ matches: orEmpty(z.looseObject({ ports: orEmpty(z.array(portNumber)) })) })),
});

function portRoute<K extends "TCPRoute" | "UDPRoute">(kind: K, version: string) {
  return PortRouteSchema.transform(({ metadata, spec }) => {
    // Only v1alpha4 has ports; before it, a route is all of them.
    const ports = version === "v1alpha4" ? spec?.matches?.ports : undefined;
    return { kind, meta: metaOf(metadata), version, ...(ports == null ? {} : { ports }) };
  }) as unknown as z.ZodType<K extends "TCPRoute" ? TCPRoute : UDPRoute>;
}

// ── access.smi-spec.io ──

const SubjectSchema = z
  .looseObject({ kind: z.string(), name: z.string(), namespace: z.string().nullish() })
  .transform(({ kind, name, namespace }): TargetSubject => ({ kind, name, ...(namespace ? { namespace } : {}) }));

const DestinationSchema = z
  .looseObject({
    kind: z.string(),
    name: z.string(),
    namespace: z.string().nullish(),
    port: z.int().min(0).max(65535).nullish(),
  })
  .transform(({ kind, name, namespace, port }) => ({
    kind,
    name,
    ...(namespace ? { namespace } : {}),
    ...(port == null ? {} : { port }),
  }));

const RuleSchema = z
  .looseObject({ kind: z.string(), name: z.string(), matches: orEmpty(z.array(z.string())) })
  .transform(
    ({ kind, name, matches: named }): TargetRule => ({ kind, name, ...(named == null ? {} : { matches: named }) }),
  );

const TargetSpecSchema = z.looseObject({
  destination: DestinationSchema,
  rules: orEmpty(z.array(RuleSchema)),
  sources: orEmpty(z.array(SubjectSchema)),
});

function trafficTarget(version: string) {
  const target = (
    metadata: z.infer<typeof MetaSchema>,
    destination: z.infer<typeof DestinationSchema>,
    rules: TargetRule[] | null | undefined,
    sources: TargetSubject[] | null | undefined,
  ): TrafficTarget => {
    // From v1alpha3 on a destination has no port; its routes have.
    const { port, ...subject } = destination;
    const ported = version === "v1alpha3" || port === undefined ? subject : { ...subject, port };
    return {
      kind: "TrafficTarget",
      meta: metaOf(metadata),
      version,
      destination: ported,
      ...(rules == null ? {} : { rules }),
      sources: sources ?? [],
    };
  };
  return version === "v1alpha1"
    ? TargetSpecSchema.extend({ metadata: MetaSchema, specs: orEmpty(z.array(RuleSchema)) }).transform((raw) =>
        target(raw.metadata, raw.destination, raw.specs, raw.sources),
      )
    : z
        .looseObject({ metadata: MetaSchema, spec: TargetSpecSchema })
        .transform(({ metadata, spec }) => target(metadata, spec.destination, spec.rules, spec.sources));
}

// ── split.smi-spec.io ──

const QUANTITY = /^(\d+(?:\.\d+)?|\.\d+)(m|k|M)?$/;
const SCALE: Readonly<Record<string, number>> = { m: 1, k: 1_000_000, M: 1_000_000_000 };

/** v1alpha1: a Kubernetes quantity, `100m` or `1`, in thousandths. */
const QuantitySchema = z
  .union([z.string(), z.number()], { error: 'a quantity such as 500m or "1" is expected' })
  .refine((raw) => QUANTITY.test(String(raw)), "a quantity such as 500m or 1 is expected")
  .transform((raw) => {
    const [, amount = "0", suffix = ""] = QUANTITY.exec(String(raw)) ?? [];
    return Number(amount) * (SCALE[suffix] ?? 1000);
  });
const WeightSchema = z.number().min(0);

function trafficSplit(version: string) {
  const weight = version === "v1alpha1" ? QuantitySchema : WeightSchema;
  const hasMatches = version === "v1alpha3" || version === "v1alpha4";
  return z
    .looseObject({
      metadata: MetaSchema,
      spec: z.looseObject({
        service: z.string().min(1),
        backends: z.array(z.looseObject({ service: z.string().min(1), weight: orEmpty(weight) })),
        matches: orEmpty(z.array(z.looseObject({ kind: z.string(), name: z.string() }))),
      }),
    })
    .transform(
      ({ metadata, spec }): TrafficSplit => ({
        kind: "TrafficSplit",
        meta: metaOf(metadata),
        version,
        service: spec.service,
        backends: spec.backends.map((backend) => ({ service: backend.service, weight: Number(backend.weight ?? 0) })),
        matches: hasMatches ? (spec.matches ?? []).map(({ kind, name }) => ({ kind, name })) : [],
      }),
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
