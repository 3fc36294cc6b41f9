/** docs/compatibility.md against the code: every row is about something that is there, and everything has its row. */
import { readdirSync, readFileSync } from "node:fs";
import { Option } from "commander";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { buildProgram } from "../src/cli/main.ts";
import {
  GONE,
  OLD_VARIABLES,
  RENAMED,
  refuseOldVariables,
  traefikMeshVariable,
  VARIABLES,
} from "../src/cli/traefik-mesh-options.ts";
import { ANNOTATIONS } from "../src/compiler/annotations.ts";
import { PROXY_SELECTOR, SHADOW_LABELS } from "../src/controller/own-objects.ts";
import { decodeObject } from "../src/model/decode/decode-object.ts";
import { SMI_KINDS } from "../src/model/decode/smi-kinds.ts";
import { OWN_APPS } from "../src/topology/build-topology.ts";
import { chartValues, isLeftOut, type Schema } from "./values-reference.ts";

const root = new URL("../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");
const PAGE = read("docs/compatibility.md");

/** What nothing is the same with. */
const NOT_SAME = /\binstead of\b|\bdefaults?\b|\bbut for\b|\brefused?\b|\belse\b|\bunless\b|\bknow no\b|\bno longer\b/;
const VERDICTS = ["same", "better", "left out"];
const VERSIONS = ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"];

interface Row {
  readonly chapter: string;
  /** First cell, as it stands. */
  readonly of: string;
  /** What stands in code spans in the first cell. */
  readonly names: readonly string[];
  /** By the titles of the other columns. */
  readonly cells: Readonly<Record<string, string>>;
  readonly tests: readonly string[];
}

const spansOf = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);

function rowsOf(page: string): Row[] {
  return page.split(/^## /m).flatMap((part) => {
    const [chapter = "", ...lines] = part.split("\n");
    const [head = [], , ...rows] = lines
      .filter((line) => line.startsWith("| "))
      .map((line) => line.slice(1, -1).split("|"))
      .map((cells) => cells.map((cell) => cell.trim()));
    return rows.map(([of = "", ...rest]) => {
      const cells = Object.fromEntries(rest.map((cell, index) => [head[index + 1] ?? "", cell]));
      return { chapter, of, names: spansOf(of), cells, tests: spansOf(cells["shown by"] ?? "") };
    });
  });
}

/** Titles of tests, as they stand in the sources, and golden cases. */
function testNames(): Set<string> {
  const names = new Set<string>();
  for (const folder of ["src/", "test/"])
    for (const path of readdirSync(new URL(folder, root), { recursive: true, encoding: "utf8" })) {
      if (!/\.(test|e2e)\.ts$|-suite\.ts$/.test(path)) continue;
      const source = read(folder + path);
      for (const [, literal = ""] of source.matchAll(/(?:\btest\(|\)\()\s*("(?:[^"\\\n]|\\.)*"),/g))
        names.add(JSON.parse(literal) as string);
    }
  const suites = [
    ["src/compiler/testdata/", "case"],
    ["src/coredns/testdata/", "case"],
    ["src/traefik/testdata/", "traefik"],
  ] as const;
  for (const [folder, kind] of suites)
    for (const path of readdirSync(new URL(folder, root), { recursive: true, encoding: "utf8" }))
      if (path.endsWith(".in.yaml")) names.add(`${kind}: ${path.slice(0, -".in.yaml".length)}`);
  return names;
}

/** @returns what is wrong with the rows, each by its first cell */
function faults(rows: readonly Row[], known: ReadonlySet<string>): string[] {
  return rows.flatMap(({ of, cells, tests }) => {
    const { here = "", how = "" } = cells;
    return [
      ...(VERDICTS.includes(here) ? [] : [`${of} is none of ${VERDICTS.join(", ")}: ${here}`]),
      ...(here === "same" && NOT_SAME.test(how) ? [`${of} is not the same: ${how}`] : []),
      ...(here === "same" || how !== "" ? [] : [`${of} does not say how or why`]),
      ...(tests.length > 0 || here === "left out" ? [] : [`${of} names no test`]),
      ...tests.filter((name) => !known.has(name)).map((name) => `${of} names a test that is not there: ${name}`),
    ];
  });
}

const rows = rowsOf(PAGE);
const of = (chapter: string): Row[] => rows.filter((row) => row.chapter === chapter);
const namesIn = (chapter: string): string[] => of(chapter).flatMap(({ names }) => names);

describe("docs/compatibility.md", () => {
  test("has rows that say what is so, and name tests that exist", () => {
    expect(rows.length).toBeGreaterThan(200);
    expect(
      faults(
        rows.filter(({ chapter }) => chapter !== BEYOND),
        testNames(),
      ),
    ).toEqual([]);
  });

  test("has no row twice in a chapter", () => {
    const all = rows.map(({ chapter, of: cell }) => `${chapter}: ${cell}`);
    expect(all.filter((each, index) => all.indexOf(each) !== index)).toEqual([]);
  });

  test("has each command of Traefik Mesh, and those that are here are here", () => {
    const commands = buildProgram(() => {}).commands.map((each) => each.name());
    for (const name of ["prepare", "cleanup", "version"]) {
      expect(namesIn("Commands")).toContain(name);
      expect(commands).toContain(name);
    }
    expect(commands).toContain("controller");
  });

  test("has each flag of Traefik Mesh, as it is read or refused", () => {
    const verdictOf = new Map(of("Flags").map(({ names, cells }) => [names[0]?.slice(2).toLowerCase(), cells["here"]]));
    expect([...verdictOf.keys()].sort()).toEqual([...RENAMED.keys(), ...GONE.keys()].sort());
    for (const [name, here] of verdictOf) expect(here === "left out", name).toBe(GONE.has(name ?? ""));
  });

  test("has the variables of these flags, as they are read or refused", () => {
    const told = namesIn("Variables and files").filter((name) => name.endsWith("<FLAG>"));
    expect(told).toEqual([`${VARIABLES}<FLAG>`, `${OLD_VARIABLES}<FLAG>`]);
    const refusal = (name: string) => () => refuseOldVariables({ [name]: "x" });
    for (const [flag, ours] of RENAMED) {
      const [read, refused] = told.map((name) => name.replace("<FLAG>", flag.toUpperCase())) as [string, string];
      const found = { name: read, text: "x" };
      expect(traefikMeshVariable(new Option(`--${ours} <value>`), { [read]: "x" })).toEqual(found);
      expect(refusal(read)).not.toThrow();
      expect(refusal(refused)).toThrow(refused);
    }
    expect(of("Variables and files").map(({ of: cell }) => cell)).toContain("a variable of a flag that is gone");
    for (const flag of GONE.keys()) expect(refusal(VARIABLES + flag.toUpperCase())).toThrow(flag.toUpperCase());
  });

  test("has each label that Traefik Mesh knows or sets, and ours as they are", () => {
    expect(namesIn("Labels and what is passed over")).toEqual(KNOWN_BY);
    const cells = new Map(of("Labels and what is passed over").map((row) => [row.of, row.cells["how"]]));
    const span = (text: string) => `\`${text}\``;
    const pair = (name: string, labels: Readonly<Record<string, string>>) => span(`${name}: ${labels[name]}`);
    expect(cells.keys()).toContain(`label \`app\`: ${OWN_APPS.map(span).join(" or ")}`);
    const shadow = ["app", "type"].map((name) => pair(name, SHADOW_LABELS)).join(", ");
    expect(cells.keys()).toContain(`shadow services: labels ${shadow}`);
    const proxies = cells.get("proxies: label `component: maesh-mesh`");
    expect(proxies).toContain(pair("app.kubernetes.io/component", PROXY_SELECTOR));
  });

  test("has each path of the admin API, which controllers and tulle local serve", () => {
    const paths = namesIn("Admin API").filter((name) => name.startsWith("/api/"));
    expect(paths).toEqual(ADMIN_PATHS);
    for (const source of ["src/controller/controller-routes.ts", "src/local/loopback-routes.ts"])
      expect(pathsServedBy(source), source).toEqual(expect.arrayContaining(ADMIN_PATHS));
  });

  test("has each flag and command of the program that Traefik Mesh has not", () => {
    const { commands } = buildProgram(() => {});
    const theirs = new Set<string>([...RENAMED.values(), "help"]);
    const missing = commands.flatMap((command) => {
      const row = of(BEYOND).find(({ names }) => names[0] === `tulle ${command.name()}`);
      const own = command.options.map((option) => option.name()).filter((name) => !theirs.has(name));
      const told = spansOf(row?.cells["flags"] ?? "").map((name) => name.slice(2));
      return [
        ...(row === undefined ? [`no row: tulle ${command.name()}`] : []),
        ...own.filter((name) => !told.includes(name)).map((name) => `tulle ${command.name()} has --${name}`),
        ...told.filter((name) => !own.includes(name)).map((name) => `tulle ${command.name()} has no --${name}`),
      ];
    });
    expect(missing).toEqual([]);
  });

  test("has each annotation, those of Traefik Mesh with a row each", () => {
    const theirs = ANNOTATIONS.filter((name) => name.startsWith("mesh.traefik.io/"));
    expect(namesIn("Annotations").filter((name) => name.startsWith("mesh.traefik.io/"))).toEqual(theirs);
    const own = ANNOTATIONS.filter((name) => name.startsWith("tulle.dev/"));
    expect(namesIn(BEYOND).filter((name) => name.startsWith("tulle.dev/"))).toEqual(own);
  });

  test("has each value of Traefik Mesh's chart, as the schema takes or refuses it", () => {
    expect(namesIn("Values of the chart").sort()).toEqual([...CHART_VALUES].sort());
    const schema = JSON.parse(read("chart/values.schema.json")) as Schema;
    const ours = chartValues(read("chart/values.yaml"), schema).map(({ path }) => path);
    const validator = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
    const isOurs = (path: string) => ours.some((each) => each === path || path.startsWith(`${each}.`));
    for (const { names, cells } of of("Values of the chart"))
      for (const name of names) {
        const path = name.split(".");
        const given = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), "x");
        if (cells["here"] !== "left out") expect(isOurs(name), `${name} is a value here`).toBe(true);
        else {
          expect(validator.safeParse(given).success, `${name} is refused`).toBe(false);
          expect(hints(schema, path), `${name} is refused with a hint`).toBe(true);
        }
      }
    const named = of("Values of the chart").flatMap(({ cells }) => spansOf(cells["how"] ?? ""));
    expect(named.filter((name) => /^[a-z]+(\.[A-Za-z]+)+$/.test(name) && !isOurs(name))).toEqual([]);
  });

  test("has each version of SMI's kinds", () => {
    const versions = Object.entries(SMI_KINDS).flatMap(([kind, { versions: known }]) =>
      known.map((version) => `${kind} ${version}`),
    );
    expect(
      namesIn("Versions of SMI")
        .filter((name) => versions.includes(name))
        .sort(),
    ).toEqual(versions.sort());
  });

  test("has each field of SMI's kinds, and in which versions it is read", () => {
    const inForce = Object.keys(SMI_KINDS).flatMap((kind) =>
      fieldsOf(kind).map((field) =>
        [`${kind} ${field.path}`, ...VERSIONS.map((v) => isRead(kind, v, field))].join(" "),
      ),
    );
    const told = of("Fields of SMI").map(({ names, cells }) =>
      [names[0], ...VERSIONS.map((version) => cells[version] === "yes")].join(" "),
    );
    expect(told.sort()).toEqual(inForce.sort());
  });

  test("has each of the known weaknesses", () => {
    const numbers = of("Known weaknesses").map(({ of: cell }) => /^(\d+)\. /.exec(cell)?.[1]);
    expect([...new Set(numbers)].map(Number)).toEqual(Array.from({ length: 23 }, (_, index) => index + 1));
  });
});

test("a row without a verdict, a reason or a test, or with a test that is not there, is found", () => {
  const page = (row: string) => rowsOf(`## A\n| x | here | how | shown by |\n| --- | --- | --- | --- |\n${row}\n`);
  const known = new Set(["a title"]);
  expect(faults(page("| `--a` | same |  | `a title` |"), known)).toEqual([]);
  expect(faults(page("| `--a` | other | x | `a title` |"), known)).toEqual([
    "`--a` is none of same, better, left out: other",
  ]);
  expect(faults(page("| `--a` | better |  | `a title` |"), known)).toEqual(["`--a` does not say how or why"]);
  expect(faults(page("| `--a` | same | 1 instead of 2 | `a title` |"), known)).toEqual([
    "`--a` is not the same: 1 instead of 2",
  ]);
  expect(faults(page("| `--a` | same | x |  |"), known)).toEqual(["`--a` names no test"]);
  expect(faults(page("| `--a` | same | x | `gone` |"), known)).toEqual(["`--a` names a test that is not there: gone"]);
});

const BEYOND = "Beyond Traefik Mesh";

/** Values of Traefik Mesh's chart 3.0. */
const CHART_VALUES = [
  ...["acl", "kubedns", "clusterDomain", "defaultMode", "logLevel", "logFormat"],
  ...["limits.http", "limits.tcp", "limits.udp"],
  ...["image.name", "image.tag", "image.pullPolicy", "image.pullSecret"].map((name) => `controller.${name}`),
  ...["logLevel", "logFormat", "watchNamespaces", "ignoreNamespaces", "nodeSelector", "tolerations", "affinity"].map(
    (name) => `controller.${name}`,
  ),
  ...["limit.mem", "limit.cpu", "request.mem", "request.cpu"].flatMap((name) => [
    `controller.resources.${name}`,
    `proxy.resources.${name}`,
  ]),
  ...["image.name", "image.tag", "image.pullPolicy", "image.pullSecret"].map((name) => `proxy.${name}`),
  ...["logLevel", "logFormat", "pollInterval", "pollTimeout"].map((name) => `proxy.${name}`),
  ...["dialTimeout", "responseHeaderTimeout", "idleConnTimeout"].map((name) => `proxy.forwardingTimeouts.${name}`),
  ...["env", "envFrom", "additionalArguments", "annotations", "podAnnotations", "nodeSelector", "tolerations"].map(
    (name) => `proxy.${name}`,
  ),
  ...["deploy", "jaeger.enabled", "jaeger.localAgentHostPort", "jaeger.samplingServerURL", "datadog", "zipkin"].map(
    (name) => `tracing.${name}`,
  ),
  ...["instana", "haystack", "image.jaeger"].map((name) => `tracing.${name}`),
  ...["deploy", "datadog", "influxdb", "statsd"].map((name) => `metrics.${name}`),
  ...["enabled", "addEntrypointsLabels", "addServiceLabels", "buckets", "service", "storageClassName", "resources"].map(
    (name) => `metrics.prometheus.${name}`,
  ),
  ...["service", "storageClassName", "resources"].map((name) => `metrics.grafana.${name}`),
  ...["prometheus", "grafana", "configmapReload"].map((name) => `metrics.image.${name}`),
];

/** What stands in the first column of the labels. */
const KNOWN_BY = [
  ...["app", "maesh", "jaeger", "kube-system", "default/kubernetes", "app: maesh", "type: shadow"],
  ...["component: maesh-mesh", "app", "component", "chart", "release", "heritage", "traefik-mesh-hash"],
];

/** Of Traefik Mesh's controller. */
const ADMIN_PATHS = [
  ...["/api/configuration/current", "/api/topology/current", "/api/status/nodes"],
  ...["/api/status/node/{pod}/configuration", "/api/status/readiness"],
];

/** Paths in a source's table of routes, and in those that it takes from elsewhere. */
function pathsServedBy(source: string): string[] {
  const text = read(source);
  const others = [...text.matchAll(/from "(\.[^"]*-route\.ts)"/g)].map(([, path = ""]) => path);
  const own = [...text.matchAll(/^ +"(\/[^"]+)": \{/gm)].map(([, path = ""]) => path);
  return [
    ...own,
    ...others.flatMap((path) => pathsServedBy(new URL(path, new URL(source, "file:///")).pathname.slice(1))),
  ];
}

/** Whether what is on the way to a value is refused with a sentence of its own. */
function hints(schema: Schema, path: readonly string[]): boolean {
  let node: Schema | undefined = schema;
  for (const name of path) {
    while (node?.$ref !== undefined) node = schema.definitions?.[node.$ref.replace("#/definitions/", "")];
    node = node?.properties?.[name];
    if (node !== undefined && isLeftOut(node)) return true;
  }
  return false;
}

interface Field {
  /** `spec.matches[].name` */
  readonly path: string;
  readonly sample: unknown;
}

/** All fields that the chart's definition of a kind has in any version, and in addition those of headers. */
function fieldsOf(kind: string): Field[] {
  interface Node extends Schema {
    readonly properties?: Readonly<Record<string, Node>>;
    readonly items?: Node;
    readonly enum?: readonly unknown[];
  }
  const walk = (node: Node, path: string): Field[] => {
    const inner = Object.entries(node.properties ?? {}).flatMap(([name, own]) =>
      walk(own, path === "" ? name : `${path}.${name}`),
    );
    if (node.items?.properties !== undefined) return [...walk(node.items, `${path}[]`)];
    if (path === "" || node.properties !== undefined) return inner;
    return [{ path, sample: node.items === undefined ? sampleOf(node.type) : [sampleOf(node.items.type)] }];
  };
  const sampleOf = (type: Schema["type"]) => (type === "integer" || type === "number" ? 80 : "x");
  const file = readdirSync(new URL("chart/crds/", root)).find((name) => name.startsWith(`${kind.toLowerCase()}s.`));
  const { spec } = parse(read(`chart/crds/${file}`)) as {
    spec: { versions: { schema: { openAPIV3Schema: Node } }[] };
  };
  return walk(spec.versions[0]?.schema.openAPIV3Schema ?? {}, "");
}

function isRead(kind: string, version: string, { path, sample }: Field): boolean {
  const { group, versions } = SMI_KINDS[kind] as (typeof SMI_KINDS)[string];
  if (!versions.includes(version)) return false;
  const body = path.split(".").reduceRight<unknown>((inner, name) => {
    const isList = name.endsWith("[]");
    return { [isList ? name.slice(0, -2) : name]: isList ? [inner] : inner };
  }, sample);
  const decoded = decodeObject({
    apiVersion: `${group}/${version}`,
    kind,
    metadata: { name: "x" },
    ...(body as object),
  });
  return decoded?.problems.every(({ message }) => !message.startsWith("no field of this version")) === true;
}
