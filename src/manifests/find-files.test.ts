import { link, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findFiles } from "./find-files.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tulle-find-"));
});
afterEach(() => rm(folder, { recursive: true }));

// A file that was just replaced leaves its inode to the next one that is written, so a walk may meet one inode twice.
test("finds files of one inode under each of their names", async () => {
  await writeFile(join(folder, "a.yaml"), "");
  await link(join(folder, "a.yaml"), join(folder, "b.yaml"));
  const { places } = await findFiles([folder]);
  expect(places.map(({ path }) => path)).toEqual([join(folder, "a.yaml"), join(folder, "b.yaml")]);
});
