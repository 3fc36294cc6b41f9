// @ts-check
/** The image of Traefik for tests on a cluster that reaches no registry: the program of this machine, and what it needs. */
import { fileEntry } from "./entries.mjs";
import { systemFiles } from "./runtime-layer.mjs";
import { sharedLibraries } from "./shared-libraries.mjs";

export const TRAEFIK_IMAGE = "traefik:v3-local";
export const traefikConfig = { User: "0", Entrypoint: ["/usr/local/bin/traefik"], WorkingDir: "/" };

/**
 * @param {string} program
 * @returns {Promise<import("./tar.mjs").Entry[]>}
 */
export async function traefikEntries(program) {
  return [...systemFiles(), ...(await sharedLibraries([program])), await fileEntry(program, "usr/local/bin/traefik")];
}
