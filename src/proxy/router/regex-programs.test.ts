import { RE2JS } from "re2js";
import { describe, expect, test, vi } from "vitest";
import { silentLog } from "../../telemetry/log.ts";
import { seededRandom } from "../balancer/testkit/balancer-suite.ts";
import { MAX_AUTOMATON_BYTES, RegexPrograms } from "./regex-programs.ts";

describe("matching", () => {
  const cases: [pattern: string, text: string, start: boolean, within: boolean][] = [
    ["/api", "/apifoo", true, true],
    ["/api", "/x/api", false, true],
    ["a|b", "ca", false, true],
    ["^b", "ab", false, false],
    ["", "anything", true, true],
    ["x$", "ax", false, true],
    ["(?i)ABC", "abcd", true, true],
    ["\\Qa.b", "a.bc", true, true],
    ["t|True", "false", false, false],
    ["t|True", "true", true, true],
    [".", "é", true, true],
    ["[", "[", false, false],
    ["(?=a)a", "a", false, false],
    ["a)(b", "ab", false, false],
  ];
  test.each(cases)("%s on %s", (pattern, text, start, within) => {
    const program = new RegexPrograms(silentLog).take(pattern);
    expect([program.matchesStart(text), program.matchesWithin(text)]).toEqual([start, within]);
  });

  test("a pattern that takes other engines for ever takes no time", () => {
    const program = new RegexPrograms(silentLog).take("(a+)+$");
    const began = performance.now();
    expect(program.matchesStart(`${"a".repeat(20_000)}!`)).toBe(false);
    expect(performance.now() - began).toBeLessThan(500);
  });
});

describe("memory", () => {
  test("a pattern has one program, until its last user releases it", () => {
    const programs = new RegexPrograms(silentLog);
    const first = programs.take("/a.b");
    expect(programs.take("/a.b")).toBe(first);
    expect(programs.take("/c.d")).not.toBe(first);
    programs.release(first);
    expect(programs.take("/a.b")).toBe(first);
    programs.release(first);
    programs.release(first);
    expect(programs.size).toBe(1);
    expect(programs.take("/a.b")).not.toBe(first);
  });

  test("requests that add a state each do not make an automaton grow beyond its bound", () => {
    const compiled = vi.spyOn(RE2JS, "compile");
    const program = new RegexPrograms(silentLog).take("(a|b)*a(a|b){14}c");
    const [call] = compiled.mock.results as { value: RE2JS }[];
    const { dfa } = (call as { value: RE2JS }).value.re2();
    compiled.mockRestore();
    const random = seededRandom(5);
    let most = 0;
    for (let round = 0; round < 200; round++) {
      const text = Array.from({ length: 200 }, () => (random() < 0.5 ? "a" : "b")).join("");
      expect(program.matchesStart(text)).toBe(false);
      most = Math.max(most, dfa.stateCount);
    }
    // A state of this pattern is some 300 bytes; 40,000 characters by chance would bring thousands.
    expect(most).toBeGreaterThan(10);
    expect(most).toBeLessThan(MAX_AUTOMATON_BYTES / 150);
  });
});

test("a pattern that is not RE2's is said once, and matches nothing", () => {
  const warned: string[] = [];
  const programs = new RegexPrograms({
    ...silentLog,
    warn: (_message, fields) => warned.push(String(fields?.pattern)),
  });
  expect(programs.take("(").matchesWithin("(")).toBe(false);
  programs.take("(");
  expect(warned).toEqual(["("]);
});
