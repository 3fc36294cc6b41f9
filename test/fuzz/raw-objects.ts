/** Objects as people write them: the golden cases' with anything in any place, and SMI's in each of its versions. */
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { parseAllDocuments } from "yaml";
import type { MeshObject, TrafficTarget } from "../../src/model/objects.ts";

type Json = Readonly<Record<string, unknown>>;

const FOLDER = new URL("../../src/compiler/testdata/", import.meta.url);
/** All documents of the compiler's golden cases. */
export const DOCUMENTS: readonly Json[] = readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".in.yaml"))
  .sort()
  .flatMap((path) => parseAllDocuments(readFileSync(new URL(path, FOLDER), "utf8")))
  .map((document) => document.toJS() as Json | null)
  .filter((document): document is Json => document !== null && document["kind"] !== "CompileOptions");

const anyValue = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(null, -1, 0, 65536, 1e300, "", "*", "/", "(a", "500m", [], {}, [{}], [null], "v1alpha1"),
);
const anyKey = fc.constantFrom("spec", "matches", "ports", "rules", "sources", "weight", "kind", "name", "__proto__");

/** What becomes of one place in an object. The numbers choose the way down. */
const anyChange = fc.record({
  way: fc.array(fc.nat(9), { minLength: 1, maxLength: 7 }),
  change: fc.oneof(
    anyValue.map((value) => ({ value })),
    fc.constant({ removed: true }),
    fc.tuple(anyKey, anyValue).map(([key, value]) => ({ key, value })),
  ),
});

/** One of the documents with up to three changes. */
export const brokenDocument: fc.Arbitrary<Json> = fc
  .tuple(fc.nat(DOCUMENTS.length - 1), fc.array(anyChange, { minLength: 1, maxLength: 3 }))
  .map(([index, changes]) =>
    changes.reduce<Json>(
      (document, { way, change }) => changed(document, way, change) as Json,
      DOCUMENTS[index] as Json,
    ),
  );

function changed(value: unknown, [step, ...way]: readonly number[], change: object): unknown {
  if (typeof value !== "object" || value === null || step === undefined)
    return "value" in change && !("key" in change) ? change.value : value;
  const keys = Object.keys(value);
  const at = keys[step % Math.max(1, keys.length)];
  const copy: Record<string, unknown> = Object.fromEntries(Object.entries(value));
  if (at !== undefined && way.length > 0 && typeof copy[at] === "object" && copy[at] !== null)
    copy[at] = changed(copy[at], way, change);
  else if ("key" in change && "value" in change) copy[String(change.key)] = change.value;
  else if ("value" in change) copy[at ?? "x"] = change.value;
  else delete copy[at ?? ""];
  return Array.isArray(value) ? Object.values(copy) : copy;
}

type Smi = Extract<MeshObject, { readonly version: string }>;

export const isSmi = (object: MeshObject): object is Smi => "version" in object;

/** As its author would write it in that version, and what of it can be said there. */
export function written(object: Smi): { readonly raw: Json; readonly means: Smi } {
  const { kind, meta } = object;
  const first = ["v1alpha1", "v1alpha2"].includes(object.version);
  const version = kind === "UDPRoute" ? "v1alpha4" : kind === "TrafficTarget" ? targetVersion(object) : object.version;
  const whole = (group: string, body: object): Json => ({
    apiVersion: `${group}.smi-spec.io/${version}`,
    kind,
    metadata: {
      name: meta.name,
      namespace: meta.namespace,
      labels: meta.labels,
      annotations: meta.annotations,
      creationTimestamp: new Date(meta.createdAt).toISOString(),
    },
    ...body,
  });
  switch (kind) {
    case "HTTPRouteGroup": {
      const matches = object.matches.map(({ headers, ...match }) =>
        headers === undefined || version === "v1alpha1" ? match : { ...match, headers },
      );
      // Both forms, in turns.
      const lists = matches.map((match, index) => {
        if (!("headers" in match)) return match;
        const { headers = [], ...rest } = match;
        const one = Object.fromEntries(headers.map(({ name, value }) => [name, value]));
        const asMap = index % 2 === 0 && Object.keys(one).length === headers.length;
        return { ...rest, headers: asMap ? one : headers.map(({ name, value }) => ({ [name]: value })) };
      });
      const raw = whole("specs", first ? { matches: lists } : { spec: { matches: lists } });
      return { raw, means: { ...object, version, matches } };
    }
    case "TCPRoute":
    case "UDPRoute": {
      const { ports, ...rest } = object;
      if (version !== "v1alpha4")
        return { raw: whole("specs", first ? {} : { spec: {} }), means: { ...rest, version } };
      const raw = whole("specs", { spec: { matches: ports === undefined ? {} : { ports } } });
      return { raw, means: { ...object, version } };
    }
    case "TrafficTarget": {
      const { destination, rules, sources } = object;
      const body =
        version === "v1alpha1"
          ? { destination, sources, ...(rules === undefined ? {} : { specs: rules }) }
          : { spec: { destination, sources, ...(rules === undefined ? {} : { rules }) } };
      return { raw: whole("access", body), means: { ...object, version } };
    }
    case "TrafficSplit": {
      const matches = first ? [] : object.matches;
      const backends = object.backends.map(({ service, weight }) => ({
        service,
        weight: version === "v1alpha1" ? `${weight}m` : weight,
      }));
      const spec = { service: object.service, backends, ...(first ? {} : { matches }) };
      return { raw: whole("split", { spec }), means: { ...object, version, matches } };
    }
  }
}

function targetVersion({ version }: TrafficTarget): string {
  return version === "v1alpha4" ? "v1alpha3" : version;
}
