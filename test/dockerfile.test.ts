/** The Dockerfile makes the image that `npm run image` makes. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { tulleConfig } from "../packaging/app-layers.mjs";

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
const dockerfile = read("Dockerfile");
const values = (instruction: string) =>
  [...dockerfile.matchAll(new RegExp(`^${instruction} (.*)$`, "gm"))].map(([, value]) => value as string);

test("its containers start as those of npm run image", () => {
  const config = tulleConfig("1.2.3");
  expect(values("ENTRYPOINT").map((value) => JSON.parse(value))).toEqual([config.Entrypoint]);
  expect(values("USER")).toEqual([config.User]);
  expect(values("WORKDIR").at(-1)).toBe(config.WorkingDir);
  const [node] = config.Entrypoint;
  expect(values("COPY").some((value) => value.endsWith(` ${node}`))).toBe(true);
});

test("the final stage has the Debian that the Node.js in it was made for", () => {
  const images = values("FROM").map((value) => value.replace(/^--platform=\S+ /, "").split(" ")[0] as string);
  expect(new Set(images.slice(0, -1)).size).toBe(1);
  expect(images[0]).toMatch(/^node:24-bookworm/);
  expect(images.at(-1)).toMatch(/-debian12:nonroot$/);
});

test(".dockerignore lets in what the build stage reads", () => {
  const letIn = read(".dockerignore").matchAll(/^!(\S+)$/gm);
  const names = [...letIn].map(([, name]) => name as string);
  const first = values("COPY")[0]?.split(" ").slice(0, -1) ?? [];
  for (const name of [...first, "tsconfig.build.json", "LICENSE", "bin", "dashboard", "examples", "packaging", "src"])
    expect(names).toContain(name);
});
