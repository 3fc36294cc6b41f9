import { existsSync, readdirSync, readFileSync } from "node:fs";
import { Command } from "commander";
import { expect, test } from "vitest";
import { addAccessLogOptions } from "../src/cli/access-log-options.ts";
import { buildProgram } from "../src/cli/main.ts";
import { FAILURES } from "../src/model/failures.ts";
import { PROBLEMS } from "../src/model/problems.ts";
import { CALL_FIELDS } from "../src/proxy/access-log/call-fields.ts";
import { TAP_PARAMETERS } from "../src/tap/tap-filter.ts";

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");

/** Text under each heading of this depth, by heading. */
function sections(path: string, depth: number): Map<string, string> {
  const parts = read(path).split(new RegExp(`^#{1,${depth}} `, "m"));
  return new Map(
    parts.slice(1).map((part) => {
      const end = part.indexOf("\n");
      return [part.slice(0, end), part.slice(end + 1)];
    }),
  );
}

const PROBLEM_CHAPTERS = [
  "Problems",
  "Files and manifests",
  "Services",
  "TrafficSplits",
  "TrafficTargets and routes",
  "Traefik as the proxy",
];

test("docs/problems.md has exactly the codes of PROBLEMS, in their order", () => {
  const headings = [...sections("docs/problems.md", 3).keys()];
  expect(headings.filter((heading) => !PROBLEM_CHAPTERS.includes(heading))).toEqual(Object.keys(PROBLEMS));
});

test("docs/problems.md says of each problem what the program says, and shows one", () => {
  const texts = sections("docs/problems.md", 3);
  for (const [code, { severity, effect, remedy }] of Object.entries(PROBLEMS)) {
    const lines = texts.get(code)?.split("\n") ?? [];
    expect.soft(lines[1], `${code}: what it means`).toMatch(/\S/);
    expect.soft(lines, code).toContain(`- Severity: ${severity}`);
    expect.soft(lines, code).toContain(`- Effect: ${effect}`);
    expect.soft(lines, code).toContain(`- Remedy: ${remedy}`);
    expect.soft(texts.get(code), code).toMatch(/^- Example: \S/m);
  }
});

test("docs/failures.md has exactly the codes of FAILURES, in their order", () => {
  const headings = [...sections("docs/failures.md", 2).keys()];
  expect(headings.filter((heading) => heading !== "Failures")).toEqual(Object.keys(FAILURES));
});

test("docs/failures.md says of each failure what the program says, and shows one", () => {
  const text = read("docs/failures.md");
  const texts = sections("docs/failures.md", 2);
  for (const [code, { status, grpcStatus, fault, retrySafe, sentence }] of Object.entries(FAILURES)) {
    const row = `| [${code}](#${code.toLowerCase()}) | ${status || "none"} | ${grpcStatus} `;
    const rest = ` | ${fault} | ${retrySafe ? "safe" : "not safe"} |`;
    const isRow = (line: string) => line.startsWith(row) && line.endsWith(rest);
    expect.soft(text.split("\n").filter(isRow), code).toHaveLength(1);
    expect.soft(texts.get(code)?.split("\n"), code).toContain(sentence);
    expect.soft(texts.get(code), code).toMatch(/^- Example: \S/m);
    expect.soft(texts.get(code), code).toMatch(/^- Remedy: \S/m);
  }
});

test("the clean clone's command is the same in .ci/run, CONTRIBUTING.md and README.md", () => {
  const commands = ["npm install", "npm run check", "npm test"];
  expect(
    read(".ci/run")
      .split("\n")
      .filter((line) => line.startsWith("npm"))
      // What else it runs comes after.
      .slice(0, commands.length),
  ).toEqual(commands);
  expect(read("CONTRIBUTING.md")).toContain(commands.join(" && "));
  expect(read("README.md")).toContain(commands.join(" && "));
});

test("links between our pages lead somewhere", () => {
  const pages = [
    "",
    "bench/",
    "changelog/",
    "docs/",
    "docs/decisions/",
    "docs/runbooks/",
    "examples/whoami/",
    "examples/your-own-service/",
  ]
    .flatMap((folder) => readdirSync(new URL(`../${folder}`, import.meta.url)).map((name) => folder + name))
    .filter((path) => path.endsWith(".md"));
  const headingsOf = (url: URL) =>
    [...readFileSync(url, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^a-z0-9 -]/g, "")
        .replaceAll(" ", "-"),
    );
  const broken: string[] = [];
  for (const page of pages)
    for (const [, link = ""] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const url = new URL(link, new URL(`../${page}`, import.meta.url));
      const fragment = url.hash.slice(1);
      url.hash = "";
      if (!existsSync(url) || (fragment !== "" && !headingsOf(url).includes(fragment))) broken.push(`${page}: ${link}`);
    }
  expect(broken).toEqual([]);
});

test("each decision has a number of its own, in its file's name and its title alike", () => {
  const files = readdirSync(new URL("../docs/decisions", import.meta.url)).filter((name) => name.endsWith(".md"));
  const numbers = files.map((name) => Number(name.slice(0, 4)));
  expect(numbers).toEqual(files.map((_, index) => index + 1));
  for (const name of files)
    expect(read(`docs/decisions/${name}`).startsWith(`# ${Number(name.slice(0, 4))}. `), name).toBe(true);
});

test("docs/access-log.md has the fields of a line, in their order, and what the program says of each", () => {
  const table = read("docs/access-log.md").split("\n## JSON\n")[1]?.split("\n## ")[0] ?? "";
  const rows = table.split("\n").filter((line) => line.startsWith("| `"));
  expect(rows).toEqual(CALL_FIELDS.map(({ name, says }) => `| \`${name}\` | ${says} |`));
});

test("docs/access-log.md has the flags of the access log", () => {
  const documented = [...read("docs/access-log.md").matchAll(/^\| `--([a-z-]+)/gm)].map(([, name]) => name);
  const flags = addAccessLogOptions(new Command()).options.map((option) => option.name());
  expect(documented).toEqual(flags);
});

test("docs/tap.md has the parameters of a tap, in their order", () => {
  const documented = [...read("docs/tap.md").matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
  expect(documented).toEqual(TAP_PARAMETERS);
});

/** Names of the options in the rows of a part of docs/commands.md. */
const optionsIn = (part: string | undefined) =>
  [...(part ?? "").matchAll(/^\| `--([a-z-]+)/gm)].map(([, name]) => name);

test.each(["top", "graph", "status"])("docs/commands.md has the options of tulle %s, as --help has them", (name) => {
  const parts = sections("docs/commands.md", 2);
  const command = buildProgram(() => {}).commands.find((each) => each.name() === name);
  const documented = [...optionsIn(parts.get(`tulle ${name}`)), ...optionsIn(parts.get("Looking at a running mesh"))];
  expect(documented.sort()).toEqual(command?.options.map((option) => option.name()).sort());
});
