/** Values as Helm reads and writes them: YAML 1.1, where `on` and `yes` are true. */
import { parse, stringify, type Tags } from "yaml";
import { isTree, type Values } from "../migrate/value-tree.ts";

/** What `helm get values` writes above them. */
const HEADING = /^(?:USER-SUPPLIED|COMPUTED) VALUES:[ \t]*\r?\n/;
/** A chart of one's own that has Traefik Mesh's as a part names its values after it. */
const PARTS = ["traefik-mesh", "maesh"];

/** @returns undefined: it is no tree. @throws Error where it is no YAML */
export function parseValues(text: string): Values | undefined {
  const values: unknown = parse(text.replace(HEADING, ""), { version: "1.1", customTags: helmTags }) ?? {};
  if (!isTree(values)) return undefined;
  const [[part, inner] = ["", undefined], ...others] = Object.entries(values);
  return others.length === 0 && PARTS.includes(part) && isTree(inner) ? inner : values;
}

/** Quotes what Helm would read as something else. */
export function formatValues(values: Values): string {
  return Object.keys(values).length === 0 ? "{}\n" : stringify(values, { version: "1.1", lineWidth: 0 });
}

/** Helm leaves times and numbers to the base of 60 texts. */
function helmTags(tags: Tags): Tags {
  return tags.filter(
    (tag) => typeof tag === "string" || (tag.format !== "TIME" && tag.tag !== "tag:yaml.org,2002:timestamp"),
  );
}
