// @ts-check
/** The packages that Tulle runs with: what package-lock.json has without `dev`, taken from node_modules. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { folderEntries } from "./entries.mjs";

/** Nothing that runs reads these. */
const UNREAD = /\.([cm]?ts|map)$/;

/**
 * @param {string} root the checkout
 * @param {string} path where its files go in the image
 */
export async function productionPackages(root, path) {
  const lock = await readJson(join(root, "package-lock.json"));
  /** @type {import("./tar.mjs").Entry[]} */
  const entries = [];
  for (const folder of productionFolders(lock)) {
    const installed = await readJson(join(root, folder, "package.json")).catch(() => undefined);
    if (installed === undefined && lock.packages[folder].optional) continue;
    const wanted = lock.packages[folder].version;
    if (installed?.version !== wanted) {
      const found = installed === undefined ? "not there" : `version ${installed.version}`;
      throw new Error(`${folder} is ${found}, package-lock.json has ${wanted}: run npm ci`);
    }
    // A package's own node_modules have lines of their own in the lock.
    entries.push(
      ...(await folderEntries(join(root, folder), `${path}/${folder}`, (name) => {
        return name !== "node_modules" && !UNREAD.test(name);
      })),
    );
  }
  return entries;
}

/**
 * @param {{packages: Record<string, {dev?: boolean}>}} lock
 * @returns {string[]}
 */
export function productionFolders(lock) {
  return Object.entries(lock.packages).flatMap(([folder, { dev }]) => (folder === "" || dev === true ? [] : [folder]));
}

/** @param {string} file */
async function readJson(file) {
  return JSON.parse(await readFile(file, "utf8"));
}
