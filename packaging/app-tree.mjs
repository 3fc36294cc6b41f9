// @ts-check
/** `node packaging/app-tree.mjs FOLDER` writes Tulle and its packages below FOLDER: the Dockerfile's build stage. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { appEntries, packageEntries } from "./app-layers.mjs";
import { writeTree } from "./entries.mjs";

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error("node packaging/app-tree.mjs FOLDER");
  process.exit(2);
}
const scratch = await mkdtemp(join(tmpdir(), "tulle-app-"));
try {
  await writeTree([...(await packageEntries()), ...(await appEntries(scratch))], folder);
} finally {
  await rm(scratch, { recursive: true });
}
