/** docs/values.md, from the comments of the chart's values.yaml and the schema beside it. */
import { isMap, isNode, isScalar, parseDocument, type YAMLMap } from "yaml";

/** What is used of JSON Schema. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly minimum?: number;
  readonly additionalProperties?: boolean | Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly definitions?: Readonly<Record<string, Schema>>;
}

/** A value of Traefik Mesh's chart that the schema knows so that it can be refused with a hint. */
export const isLeftOut = (own: Schema): boolean => String(own.const ?? "").startsWith("left out: ");

export interface ChartValue {
  /** `controller.replicas` */
  readonly path: string;
  readonly fallback: unknown;
  /** The comment above it, on one line; empty where there is none. */
  readonly says: string;
  /** undefined where the schema does not know it */
  readonly schema: Schema | undefined;
}

/** Each value that can be set, in the order of the file. A map counts as one value unless the schema says what is in it. */
export function chartValues(valuesYaml: string, schema: Schema): ChartValue[] {
  const { contents } = parseDocument(valuesYaml);
  if (!isMap(contents)) throw new Error("values.yaml: a map is expected");
  return valuesIn(contents, schema, "");
}

function valuesIn(map: YAMLMap, schema: Schema | undefined, prefix: string): ChartValue[] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) throw new Error(`values.yaml: ${prefix}: a plain key is expected`);
    const path = prefix + String(key.value);
    const own = schema?.properties?.[String(key.value)];
    if (isMap(value) && own?.properties !== undefined) return valuesIn(value, own, `${path}.`);
    // The parser gives the comment above the first key to the map.
    const comment = key.commentBefore ?? (index === 0 ? map.commentBefore : undefined) ?? "";
    const fallback = isNode(value) ? value.toJSON() : value;
    return [{ path, fallback, says: comment.replaceAll(/\s+/g, " ").trim(), schema: own }];
  });
}

export function valuesReference(valuesYaml: string, schema: Schema): string {
  const rows = chartValues(valuesYaml, schema).map(
    ({ path, fallback, says, schema: own }) =>
      `| \`${path}\` | ${shown(fallback)} | ${taken(own, schema)} | ${says.replaceAll("|", "\\|")} |`,
  );
  return `# Values of the chart

Made from \`chart/values.yaml\` and \`chart/values.schema.json\` by \`npx vitest run test/chart.test.ts -u\`: change them, not
this page. Values that are not here are refused. [install.md](install.md) has the usual ones in use, and
[upgrade.md](upgrade.md#from-traefik-mesh) what became of those of Traefik Mesh's chart.

| value | default | takes | effect |
| --- | --- | --- | --- |
${rows.join("\n")}
`;
}

function shown(fallback: unknown): string {
  if (fallback === "" || fallback === null) return "";
  if (typeof fallback === "object" && Object.keys(fallback).length === 0) return "";
  return `\`${typeof fallback === "string" ? fallback : JSON.stringify(fallback)}\``;
}

function taken(schema: Schema | undefined, root: Schema): string {
  if (schema === undefined) return "";
  const { $ref, anyOf, type, items, minimum, additionalProperties } = schema;
  if ($ref !== undefined) return taken(root.definitions?.[$ref.replace("#/definitions/", "")], root);
  if (anyOf !== undefined) return [...new Set(anyOf.map((each) => taken(each, root)))].filter(Boolean).join(" or ");
  if (schema.enum !== undefined) {
    const named = schema.enum.filter((each) => each !== "");
    return named.map((each) => `\`${each}\``).join(", ");
  }
  if (type === "array") {
    const each = items === undefined ? "" : taken(items, root);
    if (items?.enum !== undefined) return `list of ${each}`;
    return each === "" ? "list" : `list of ${each}s`;
  }
  if (type === "object") return typeof additionalProperties === "object" ? "map" : "object";
  if (type === "integer") return minimum === undefined ? "number" : `number, ${minimum} or more`;
  return type === undefined ? "" : [type].flat().join(" or ");
}
