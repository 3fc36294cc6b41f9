import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findSections, putBlocks, takeOutBlocks } from "./marked-text.ts";

const block = (title: string, inside: string) => ({
  title,
  text: `#### Begin ${title} Block\n${inside}\n#### End ${title} Block`,
});
const MAESH = block("Maesh", "maesh:53 {\n}");
const MESH = block("Traefik Mesh", "traefik.mesh:53 {\n}");
const BOTH = [MAESH, MESH];
const texts = fc.oneof(
  fc.string(),
  fc
    .array(fc.constantFrom("\n", "a", "\r\n", "#### Begin", "####", " ", "#### Begin Other Block\n"))
    .map((all) => all.join("")),
);

describe("marked blocks", () => {
  test("are appended with an empty line before each, as Traefik Mesh appends them", () => {
    expect(putBlocks("x {\n}\n", BOTH)).toBe(`x {\n}\n\n${MAESH.text}\n\n${MESH.text}\n`);
  });

  test("taken out again, leave any text as it was", () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(takeOutBlocks(putBlocks(text, BOTH))).toBe(text);
        // One after the other, in any order.
        expect(takeOutBlocks(putBlocks(putBlocks(text, BOTH), [MESH]))).toBe(text);
        expect(takeOutBlocks(putBlocks(putBlocks(text, BOTH), [MAESH]))).toBe(text);
      }),
    );
  });

  test("put a second time, change nothing", () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(putBlocks(putBlocks(text, BOTH), BOTH)).toBe(putBlocks(text, BOTH));
      }),
    );
  });

  test("are replaced where they stand, without an empty line more", () => {
    const old = `a\n\n\n\n${block("Traefik Mesh", "old").text}\nb\n\n${block("Maesh", "older\nstill").text}\n\nc`;
    expect(putBlocks(old, BOTH)).toBe(`a\n\n\n\n${MESH.text}\nb\n\n${MAESH.text}\n\nc`);
  });

  test("that are there twice, are there once", () => {
    expect(putBlocks(`${MAESH.text}\nb\n\n${MAESH.text}\n`, [MAESH])).toBe(`${MAESH.text}\nb\n`);
  });

  test("taken out, never join lines of others, nor take one of them along", () => {
    const line = fc.constantFrom("a", "b", "", "# c");
    fc.assert(
      fc.property(fc.array(line), fc.array(line), fc.array(line), (before, between, after) => {
        const lines = [...before, MAESH.text, ...between, MESH.text, ...after];
        const left = takeOutBlocks(lines.join("\n")).split("\n");
        const written = (all: readonly string[]) => all.filter((text) => text !== "");
        expect(written(left)).toEqual(written([...before, ...between, ...after]));
      }),
    );
  });

  test("end with the text, if their end mark has no line break", () => {
    expect(takeOutBlocks(`a\n\n${MAESH.text}`)).toBe("a\n");
    expect(putBlocks(`a\n\n${MAESH.text}`, [MESH])).toBe(`a\n\n${MESH.text}\n`);
  });

  test("are found with Windows line ends", () => {
    expect(takeOutBlocks(`a\r\n${MAESH.text.replaceAll("\n", "\r\n")}\r\nb\r\n`)).toBe("a\r\nb\r\n");
  });

  test("of other tools are no concern of ours", () => {
    const other = block("Firewall", "x").text;
    expect(findSections(other)).toEqual({ sections: [], faults: [] });
    expect(takeOutBlocks(`${other}\n`)).toBe(`${other}\n`);
  });
});

describe("a begin mark without its end is a fault, and its text stays:", () => {
  const begin = "#### Begin Maesh Block";
  const cases: Readonly<Record<string, string>> = {
    "where the end is missing": `${begin}\nmaesh:53 {\n}\n. {\n}\n`,
    "where the end is another block's": `${begin}\n#### End Traefik Mesh Block\n`,
    "where the next block begins": `${begin}\n${MESH.text}\n`,
    "where the end mark shares its line": `${begin}\n#### End Maesh Block. {\n}\n`,
    "where the end comes first": `#### End Maesh Block\n${begin}\n`,
  };
  for (const [name, text] of Object.entries(cases))
    test(name, () => {
      const { faults } = findSections(text);
      expect(faults.map(({ line }) => line)).toEqual([text.startsWith(begin) ? 1 : 2]);
      expect(faults[0]?.sentence).toContain('"#### Begin Maesh Block" has no "#### End Maesh Block"');
      expect(takeOutBlocks(text)).toContain(begin);
    });
});
