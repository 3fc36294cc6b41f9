import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ANSWERS } from "../src/proxy/exchange/http1/corpus/answers.ts";
import { CHUNKED_ANSWERS, CHUNKED_REQUESTS } from "../src/proxy/exchange/http1/corpus/chunks.ts";
import { HOP_BY_HOP } from "../src/proxy/exchange/http1/corpus/hop-by-hop.ts";
import { REQUEST_FIELDS } from "../src/proxy/exchange/http1/corpus/request-fields.ts";
import { REQUEST_FRAMING } from "../src/proxy/exchange/http1/corpus/request-framing.ts";
import { REQUEST_LINES } from "../src/proxy/exchange/http1/corpus/request-lines.ts";

const root = new URL("../", import.meta.url);
const PAGE = readFileSync(new URL("docs/http1.md", root), "utf8");

/** Sections of RFC 9112 that bind who stands between; the others are grammar, registries and history. */
const SECTIONS_9112 = [
  ...["2.2", "2.3", "3", "3.2", "3.2.1", "3.2.2", "3.2.3", "3.2.4", "3.3", "4", "5", "5.1", "5.2", "6.1", "6.2", "6.3"],
  ...["7.1", "7.1.1", "7.1.2", "7.1.3", "7.4", "8", "9.1", "9.2", "9.3", "9.3.1", "9.3.2", "9.4", "9.5", "9.6", "9.8"],
  ...["11.1", "11.2"],
];

interface Row {
  readonly rule: string;
  readonly section: string;
  readonly does: string;
  readonly tests: readonly string[];
}

function rowsOf(page: string): Row[] {
  return page
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| rule |") && !line.startsWith("| --- |"))
    .map((line) => {
      const [rule = "", section = "", does = "", tests = ""] = line.slice(2, -2).split(" | ");
      return { rule, section, does, tests: [...tests.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name) };
    });
}

/** Titles in the proxy's test files, as they stand in the source. */
function titles(): Set<string> {
  const folder = new URL("src/proxy/", root);
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".test.ts"));
  const found = paths.flatMap((path) => {
    const source = readFileSync(new URL(path, folder), "utf8");
    return [...source.matchAll(/(?:\btest\(|\)\()\s*("(?:[^"\\\n]|\\.)*"),/g)].map(
      ([, literal = ""]) => JSON.parse(literal) as string,
    );
  });
  return new Set(found);
}

function testNames(): Set<string> {
  const requests = [REQUEST_LINES, REQUEST_FIELDS, HOP_BY_HOP, REQUEST_FRAMING, CHUNKED_REQUESTS].flat();
  return new Set([
    ...requests.map(({ name }) => `request: ${name}`),
    ...[ANSWERS, CHUNKED_ANSWERS].flat().map(({ name }) => `answer: ${name}`),
    ...[...titles()].map((title) => `test: ${title}`),
  ]);
}

/** @returns what is wrong with the rows, each by its rule */
function faults(rows: readonly Row[], known: ReadonlySet<string>): string[] {
  return rows.flatMap(({ rule, section, does, tests }) => [
    ...(tests.length === 0 ? [`${rule} names no test`] : []),
    ...tests.filter((name) => !known.has(name)).map((name) => `${rule} names a test that is not there: ${name}`),
    ...(section.trim() === "" || does.trim() === "" ? [`${rule} lacks a section or what is done`] : []),
  ]);
}

describe("docs/http1.md", () => {
  const rows = rowsOf(PAGE);

  test("names for each rule a test that exists", () => {
    expect(rows.length).toBeGreaterThan(100);
    expect(faults(rows, testNames())).toEqual([]);
  });

  test("has a rule of each section of RFC 9112 that binds a gateway", () => {
    const named = rows.flatMap(({ section }) => {
      const of9112 = /9112 ([^a-z]*?)(?:, 9110|$)/.exec(section)?.[1] ?? "";
      return [...of9112.matchAll(/§([0-9.]+)/g)].map(([, number]) => number);
    });
    expect(SECTIONS_9112.filter((section) => !named.includes(section))).toEqual([]);
  });
});

test("a row without a test, or with one that is not there, is found", () => {
  const known = new Set(["request: a", "test: b"]);
  expect(faults(rowsOf("| R1 | 9112 §1 | x | `request: a` `test: b` |"), known)).toEqual([]);
  expect(faults(rowsOf("| R2 | 9112 §1 | x |  |"), known)).toEqual(["R2 names no test"]);
  expect(faults(rowsOf("| R3 | 9112 §1 | x | `test: c` |"), known)).toEqual([
    "R3 names a test that is not there: test: c",
  ]);
});
