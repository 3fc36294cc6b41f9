// @ts-check
/** Files of this machine as entries of a layer. */
import { chmod, copyFile, mkdir, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ordered } from "./tar.mjs";

/** @typedef {import("./tar.mjs").Entry} Entry */

/**
 * One file, what links lead to; of its mode only whether it may be run is kept, so that nobody's umask counts.
 * @param {string} file
 * @param {string} path
 * @returns {Promise<Entry>}
 */
export async function fileEntry(file, path) {
  const { mode, size } = await stat(file);
  return { path, file, size, mode: mode & 0o100 ? 0o755 : 0o644 };
}

/**
 * Everything in a folder, with names below `path`.
 * @param {string} folder
 * @param {string} path
 * @param {(name: string) => boolean} [wanted] of names relative to the folder; of a folder's own, all in it
 * @returns {Promise<Entry[]>}
 */
export async function folderEntries(folder, path, wanted = () => true) {
  const found = await readdir(folder, { withFileTypes: true });
  const nested = await Promise.all(
    found
      .filter((each) => wanted(each.name))
      .map(async (each) => {
        const [source, target] = [join(folder, each.name), `${path}/${each.name}`];
        return each.isDirectory() ? folderEntries(source, target, wanted) : [await fileEntry(source, target)];
      }),
  );
  return nested.flat();
}

/**
 * @param {string} path
 * @param {string} text
 * @returns {Entry}
 */
export const textEntry = (path, text) => ({ path, data: Buffer.from(text) });

/**
 * Puts entries into a folder, for those who make an image from one.
 * @param {readonly Entry[]} entries
 * @param {string} folder
 */
export async function writeTree(entries, folder) {
  for (const entry of ordered(entries)) {
    const target = join(folder, entry.path);
    await mkdir("folder" in entry ? target : dirname(target), { recursive: true });
    if ("link" in entry) await symlink(entry.link, target);
    else if ("data" in entry) await writeFile(target, entry.data);
    else if ("file" in entry) await copyFile(entry.file, target);
    if (!("link" in entry)) await chmod(target, entry.mode ?? ("folder" in entry ? 0o755 : 0o644));
  }
}
