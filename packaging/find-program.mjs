// @ts-check
import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";

/**
 * @param {string} name
 * @returns {string | undefined} the first of the PATH
 */
export function findProgram(name) {
  const folders = (process.env["PATH"] ?? "").split(":").filter((folder) => folder.startsWith("/"));
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

/** @param {string} file */
function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
