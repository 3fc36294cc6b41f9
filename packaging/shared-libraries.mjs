// @ts-check
/** The shared libraries that programs of this machine need to run where there is nothing else. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { fileEntry } from "./entries.mjs";

const run = promisify(execFile);

/** Where a loader looks by itself. */
const LOADERS_FOLDER = /^(\/usr)?\/lib(32|64)?(\/[^/]+-linux-(gnu|musl)[^/]*)?$/;
/** glibc loads these when a name is looked up, so no program names them; since 2.34 they are part of it. */
const NAME_LOOKUP = ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"];

/**
 * @param {readonly string[]} programs
 * @returns {Promise<import("./tar.mjs").Entry[]>} the libraries and their loader, at their own paths
 */
export async function sharedLibraries(programs) {
  /** @type {Set<string>} */
  const libraries = new Set();
  for (const program of programs) for (const library of await librariesOf(program)) libraries.add(library);
  const libc = [...libraries].find((library) => library.endsWith("/libc.so.6"));
  if (libc !== undefined)
    for (const name of NAME_LOOKUP) {
      const library = join(dirname(libc), name);
      if (existsSync(library)) libraries.add(library);
    }
  return Promise.all([...libraries].map((library) => fileEntry(library, library.slice(1))));
}

/** @param {string} program */
async function librariesOf(program) {
  const { stdout } = await run("ldd", [program], { env: { ...process.env, LC_ALL: "C" } }).catch((error) => {
    if (error.code === "ENOENT") throw new Error("ldd is not installed (Debian: libc-bin); it names the libraries");
    // A program without any is an error for ldd.
    if (/not a dynamic executable|not a valid dynamic program/i.test(`${error.stdout}${error.stderr}`))
      return { stdout: "" };
    throw error;
  });
  return parseLdd(stdout, program);
}

/**
 * `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)`, `/lib64/ld-linux-x86-64.so.2 (0x…)`
 * @param {string} output
 * @param {string} program
 */
export function parseLdd(output, program) {
  const missing = /^\s*(\S+) => not found/m.exec(output);
  if (missing !== null) throw new Error(`${program} needs ${missing[1]}, which is not on this machine`);
  const libraries = [...output.matchAll(/(?:^|=>)\s*(\/\S+) \(0x/gm)].map((match) => /** @type {string} */ (match[1]));
  const astray = libraries.find((library) => !LOADERS_FOLDER.test(dirname(library)));
  if (astray !== undefined)
    throw new Error(`${program} needs ${astray}, which no loader finds in an image; use the Dockerfile instead`);
  return libraries;
}
