/** What `tulle migrate` prints: the differences by what they do to calls, and the values. */
import { type Difference, EFFECTS, type Effect } from "../migrate/difference.ts";
import type { Migration } from "../migrate/migration.ts";
import { formatRef } from "../model/objects.ts";
import { count } from "./count.ts";
import { formatValues } from "./helm-values.ts";

const TITLES: Readonly<Record<Effect, string>> = {
  breaks: "Served so far, and not any more unless you act",
  opens: "Refused so far, and served from now on",
  lost: "Settings that Tulle has nothing for",
  differs: "Otherwise different",
};

const SOURCES: Readonly<Record<Migration["from"], string>> = {
  values: "as the values file says",
  installation: "as its own objects say; `helm get values` knows more: --values FILE",
  defaults: "none was found, and no values are given (--values FILE): its defaults are assumed",
};

/** @param read what was looked at, such as `12 Services` */
export function migrationText(migration: Migration, read: string): string {
  const { namespace, from, access, settings, differences } = migration;
  const acl = access === "unknown" ? "whether access control was on is not known" : `access control ${access}`;
  const lines = [
    `Traefik Mesh${namespace === "" ? "" : ` in namespace ${namespace}`}: ${SOURCES[from]}`,
    `${acl}, default mode ${settings.defaultMode}; ${read}`,
  ];
  for (const effect of EFFECTS) {
    const found = differences.filter((each) => each.effect === effect);
    if (found.length === 0) continue;
    const codes = [...new Set(found.map(({ code }) => code))];
    lines.push("", `${TITLES[effect]} (${found.length}):`);
    lines.push(...codes.flatMap((code) => kindOf(found.filter((each) => each.code === code))));
  }
  if (differences.length === 0) lines.push("", "Nothing about these objects is different.");
  const weighty = differences.filter(isWeighty).length;
  lines.push("", `${count(weighty, "difference")} to decide on, ${differences.length - weighty} to know of`);
  return `${lines.join("\n")}\n`;
}

/** One that changes who is served. */
export function isWeighty({ effect }: Difference): boolean {
  return effect === "breaks" || effect === "opens";
}

/** A sentence for all of a code, then the objects. */
function kindOf(all: readonly Difference[]): string[] {
  const [first] = all;
  if (first === undefined) return [];
  const { code, says, todo } = first;
  return ["", `  ${code}: ${says}`, ...(todo === "" ? [] : [`  → ${todo}`]), ...all.map(lineOf)];
}

function lineOf({ object, field, detail }: Difference): string {
  return `      ${formatRef(object)}${field === "" ? "" : ` ${field}`}${detail === "" ? "" : `: ${detail}`}`;
}

const COMMENTS: Readonly<Record<Migration["access"], readonly string[]>> = {
  on: ["With acl: audit instead of on, calls are let through, and what would be denied is reported."],
  off: [],
  unknown: [
    "Whether access control was on is not known. Decide: without a line of the three, every call is let through.",
    'acl: "on"',
    "acl: audit",
    'acl: "off"',
  ],
};

/** The file for `helm install -f`. */
export function valuesFile({ values, access, namespace }: Migration): string {
  const from = namespace === "" ? "" : ` in namespace ${namespace}`;
  const comments = [
    `Values of Tulle's chart, made from those of Traefik Mesh${from}. Where the image is goes beside them:`,
    "--set image.repository=REGISTRY/tulle,image.tag=TAG",
    ...COMMENTS[access],
  ];
  return `${comments.map((line) => `# ${line}\n`).join("")}${formatValues(values)}`;
}
