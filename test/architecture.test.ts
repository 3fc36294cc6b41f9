import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { importsOf, type Sources } from "./import-graph.ts";
import { cycles, PROXY_COMMON, ROOMS, violations } from "./rooms.ts";

function readSources(): Sources {
  const root = new URL("../src/", import.meta.url);
  const paths = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  return new Map(paths.sort().map((path) => [path, readFileSync(new URL(path, root), "utf8")]));
}

describe("the sources", () => {
  const sources = readSources();

  test("are found, and their imports with them", () => {
    expect([...sources.keys()]).toContain("model/problems.ts");
    expect(importsOf(sources.get("model/problems.ts") ?? "")).toContainEqual({
      specifier: "./objects.ts",
      typeOnly: false,
    });
  });

  test("import nothing that their folder may not", () => {
    expect(violations(sources)).toEqual([]);
  });

  test("have no folders that import each other in a circle", () => {
    expect(cycles(sources)).toEqual([]);
  });
});

describe("ARCHITECTURE.md", () => {
  const text = readFileSync(new URL("../ARCHITECTURE.md", import.meta.url), "utf8");
  const table = text.slice(text.indexOf("## Rooms"), text.indexOf("## MeshConfig"));
  const rows = [...table.matchAll(/^\| (`[^|]+`) +\|[^|]+\|([^|]+)\|$/gm)].flatMap(([, names = "", imports = ""]) =>
    [...names.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => ({ room: name.replace("<name>", "*"), imports })),
  );

  test("has a line for each room, and for no other", () => {
    expect(rows.map(({ room }) => room).sort()).toEqual(Object.keys(ROOMS).sort());
  });

  test.each(rows)("says what $room may import", ({ room, imports }) => {
    const common = room.startsWith("proxy/") ? PROXY_COMMON : [];
    const may = (ROOMS[room]?.rooms ?? []).filter((other) => !common.includes(other));
    expect(roomsNamed(room, imports)).toEqual(may.sort());
  });
});

const NO_ROOM = ["–", "nothing of ours", "nothing of node"];

/**
 * The imports column, without what it says in brackets. In the rows of proxy/ its rooms go by their last names, and
 * `tcp: socket` is of room tcp alone.
 */
function roomsNamed(room: string, cell: string): string[] {
  const [top, last = ""] = room.split("/");
  const fullName = (name: string) => {
    if (top !== "proxy") return name;
    const near = name === "middleware" ? "proxy/middleware/*" : `proxy/${name}`;
    return near in ROOMS && near !== room ? near : name;
  };
  const parts = cell.replace(/\([^)]*\)/g, "").split(";");
  const named = parts.flatMap((part) => {
    const [, of, rest = ""] = /^\s*([a-z]+): (.*)$/.exec(part) ?? [];
    return of === undefined ? part.split(",") : of === last ? rest.split(",") : [];
  });
  const names = named.map((name) => name.trim()).filter((name) => name !== "" && !NO_ROOM.includes(name));
  return names.map((name) => (/^any\b/.test(name) ? "*" : fullName(name))).sort();
}

const judge = (files: Readonly<Record<string, string>>) => violations(new Map(Object.entries(files)));

describe("an import that may not be is found", () => {
  const bad: Readonly<Record<string, readonly [path: string, source: string]>> = {
    "the proxy imports kube": ["proxy/router/a.ts", 'import { watch } from "../../kube/watch.ts";'],
    "the proxy imports topology": ["proxy/exchange/a.ts", 'import { x } from "../../topology/topology.ts";'],
    "the proxy imports the compiler": ["proxy/entrypoint/a.ts", 'import { compile } from "../../compiler/compile.ts";'],
    "the proxy imports a type of manifests": ["proxy/tcp/a.ts", 'import type { M } from "../../manifests/m.ts";'],
    "the proxy loads local later": ["proxy/udp/a.ts", 'const m = await import("../../local/local.ts");'],
    "a test of the proxy imports the compiler": ["proxy/udp/a.test.ts", 'import { c } from "../../compiler/c.ts";'],
    "topology imports node": ["topology/a.ts", 'import { isIP } from "node:net";'],
    "topology imports a type of node": ["topology/a.ts", 'import type { Socket } from "node:net";'],
    "the compiler imports node without its prefix": ["compiler/a.ts", 'import { createHash } from "crypto";'],
    "topology imports config": ["topology/a.ts", 'import type { MeshConfig } from "../config/mesh-config.ts";'],
    "model imports anything of ours": ["model/a.ts", 'export { b } from "../config/b.ts";'],
    "config imports the compiler": ["config/a.ts", 'export type { B } from "../compiler/b.ts";'],
    "a codec imports its user": ["proxy/http1/a.ts", 'import { e } from "../exchange/e.ts";'],
    "a middleware imports another": ["proxy/middleware/retry/a.ts", 'import { r } from "../rate-limit/r.ts";'],
    "a proxy reads files": ["proxy/entrypoint/a.ts", 'import { readFileSync } from "node:fs";'],
    "local imports cli": ["local/a.ts", 'import { run } from "../cli/run.ts";'],
    "a package in the wrong room": ["compiler/a.ts", 'import { parse } from "yaml";'],
    "a package's inner file in the wrong room": ["model/a.ts", 'import { x } from "dns-packet/types.js";'],
    "a package that nobody listed": ["cli/a.ts", 'import chalk from "chalk";'],
    "a folder that is no room": ["helpers/a.ts", "export const a = 1;"],
    "a folder of proxy/ that is no room": ["proxy/filters/a.ts", "export const a = 1;"],
    "a room that does not exist": ["local/a.ts", 'import { a } from "../helpers/a.ts";'],
    "the world outside src": ["cli/a.ts", 'import pkg from "../../package.json" with { type: "json" };'],
    "code imports a test's": ["dns/a.ts", 'import { fake } from "./testkit/fake.ts";'],
    "a name made at run time": ["cli/a.ts", "await import(path.join(root, name));"],
    require: ["cli/a.ts", 'const fs = require("node:fs"), y = require(name);'],
  };
  for (const [name, [path, source]] of Object.entries(bad))
    test(name, () => {
      const found = judge({ [path]: source });
      expect(found).not.toEqual([]);
      for (const sentence of found) expect(sentence).toContain(path);
    });

  test("node reached from the compiler through config, with the way that leads there", () => {
    const found = judge({
      "compiler/compile.ts": 'import { seal } from "../config/snapshot.ts";',
      "config/snapshot.ts": 'import { createHash } from "node:crypto";',
    });
    expect(found).toEqual([
      "compiler/compile.ts → config/snapshot.ts reaches node:crypto; model, topology, compiler, traefik, coredns, migrate are pure",
    ]);
  });

  test("but a type from such a file reaches nothing", () => {
    const found = judge({
      "compiler/compile.ts": 'import type { Snapshot } from "../config/snapshot.ts";',
      "config/snapshot.ts": 'import { createHash } from "node:crypto";',
    });
    expect(found).toEqual([]);
  });

  test("a circle of rooms", () => {
    const sources = new Map([
      ["proxy/router/a.ts", 'import type { B } from "../upstream/b.ts";'],
      ["proxy/upstream/b.ts", 'import type { A } from "../router/a.ts";'],
    ]);
    expect(cycles(sources)).toEqual(["proxy/router → proxy/upstream → proxy/router"]);
  });
});

test("what may be imported is not objected to", () => {
  const found = judge({
    "proxy/exchange/a.ts": 'import net from "node:net";\nimport { B } from "../http1/b.ts";',
    "proxy/middleware/retry/retry.ts": 'import type { Failure } from "../../../model/failures.ts";',
    "compiler/a.test.ts": 'import { readFileSync } from "node:fs";\nimport { expect } from "vitest";',
    "cli/main.ts": 'import { Command } from "commander";\nawait import("./local-command.ts");',
  });
  expect(found).toEqual([]);
});

describe("imports are read", () => {
  const specifiers = (source: string) => importsOf(source).map((edge) => edge.specifier);

  test("in every form that TypeScript has", () => {
    const source = `
      import a from "1"
      import * as b from '2';
      import c, { type D, e as f } from "3";
      import {
        g, // with "words"
      } from "4";
      import "5";
      export * from "6"; export * as h from "7";
      export { i } from "8";
      const j = await import ( "9" );
      let k: typeof import("10");`;
    expect(
      specifiers(source)
        .map(Number)
        .sort((a, b) => a - b),
    ).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test("as types only where nothing is left at run time", () => {
    const typeOnly = (source: string) => importsOf(source).map((edge) => edge.typeOnly);
    expect(typeOnly('import type { A } from "a"; export type { B } from "b"; export type * from "c";')).toEqual([
      true,
      true,
      true,
    ]);
    expect(typeOnly('import { type A } from "a"; export { type B } from "b";')).toEqual([false, false]);
  });

  test("but not in comments, strings, templates and regexes", () => {
    const source = [
      '// import { a } from "a";',
      '/* import "b"; */',
      "const c = 'import \"c\";';",
      'const d = "\\" import(x)";',
      `const e = \`import "e"; \${f(\`export * from "f"\`)} import "g";\`;`,
      "const h = /[\"'`/]import \\(x\\)/;",
      'const i = import.meta.url; const from = "i";',
      "const j = a / b; const k = c / d;",
    ].join("\n");
    expect(specifiers(source)).toEqual([]);
  });

  test("after any of these, too", () => {
    const strange = ["/* */", "const a = /`/;", `const b = \`\${\`}\`}\`;`, "const c = '//';", "const d = 1 / 2; // '"];
    for (const text of strange) expect(specifiers(`${text}\nimport { z } from "z";`)).toEqual(["z"]);
  });
});
