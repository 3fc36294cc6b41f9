import { expect, test } from "vitest";
import { buildProgram } from "./main.ts";
import { inOurSpelling, RENAMED } from "./traefik-mesh-options.ts";

const program = buildProgram(() => {});
const ours = (...args: string[]) => inOurSpelling(args, program);

test("options of Traefik Mesh get our names, in any case, with their values", () => {
  expect(ours("controller", "--logLevel=debug", "--watchNamespaces", "a,b", "--APIPORT", "1")).toEqual([
    "controller",
    "--log-level=debug",
    "--watch-namespaces",
    "a,b",
    "--api-port",
    "1",
  ]);
});

test("options that the command has stay, as do those that it has under no name, values, and what follows two hyphens", () => {
  const args = ["controller", "--acl", "--config=x", "--clusterDomains", "logLevel", "--", "--logLevel"];
  expect(ours(...args)).toEqual(args);
  expect(ours("cleanup", "--defaultMode=http")).toEqual(["cleanup", "--defaultMode=http"]);
  expect(ours("--logLevel")).toEqual(["--logLevel"]);
});

test("each option that is renamed has its new name", () => {
  const controller = program.commands.find((each) => each.name() === "controller");
  expect([...RENAMED.values()].filter((name) => !controller?.options.some((each) => each.name() === name))).toEqual([]);
});

test("namespaces may be separated by commas, repeated, or both", () => {
  const controller = program.commands.find((each) => each.name() === "controller");
  const parse = controller?.options.find((each) => each.name() === "watch-namespaces")?.parseArg;
  expect(["a,b", "c"].reduce((all, text) => parse?.(text, all) as string[], [] as string[])).toEqual(["a", "b", "c"]);
});
