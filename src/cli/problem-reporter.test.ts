import { expect, test } from "vitest";
import type { LocatedProblem } from "../manifests/manifest-file.ts";
import { problem } from "../model/problems.ts";
import { ProblemReporter } from "./problem-reporter.ts";

const at = (line: number, name = "web"): LocatedProblem => {
  const service = { kind: "Service", namespace: "shop", name };
  return { problem: problem("AnnotationInvalid", service, "metadata", "it is odd"), file: "a.yaml", line };
};

function reporter(): { said: string[]; report: (...found: LocatedProblem[]) => string[] } {
  const said: string[] = [];
  const made = new ProblemReporter((line) => said.push(line));
  const report = (...found: LocatedProblem[]) => {
    said.length = 0;
    made.report(found);
    return said.map((line) => line.replace(/^((?:mended: )?a\.yaml:\d+): \w+ \w+ Service shop\/(\w+).*$/, "$1 $2"));
  };
  return { said, report };
}

test("a problem is said once, and where it stood when it is mended", () => {
  const { report } = reporter();
  expect(report(at(4), at(9, "db"))).toEqual(["a.yaml:4 web", "a.yaml:9 db"]);
  expect(report(at(4))).toEqual(["mended: a.yaml:9 db"]);
  expect(report()).toEqual(["mended: a.yaml:4 web"]);
  expect(report(at(4))).toEqual(["a.yaml:4 web"]);
});

test("one that an edit above moves to another line is neither new nor mended", () => {
  const { report } = reporter();
  report(at(4));
  expect(report(at(5))).toEqual([]);
  expect(report()).toEqual(["mended: a.yaml:5 web"]);
});

test("two that say the same of two places are two", () => {
  const { report } = reporter();
  expect(report(at(4), at(9))).toEqual(["a.yaml:4 web", "a.yaml:9 web"]);
  expect(report(at(5), at(10))).toEqual([]);
});

test("of two that say the same, the one is mended that stood where none stands now", () => {
  const { report } = reporter();
  report(at(4), at(9));
  expect(report(at(9))).toEqual(["mended: a.yaml:4 web"]);
  expect(report(at(4), at(9))).toEqual(["a.yaml:4 web"]);
});
