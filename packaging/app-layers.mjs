// @ts-check
/** Tulle itself as it lies in every image: `/app`, and `tulle` on the PATH. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fileEntry, folderEntries } from "./entries.mjs";
import { productionPackages } from "./production-packages.mjs";
import { NONROOT, PATH } from "./runtime-layer.mjs";

const run = promisify(execFile);

export const ROOT = fileURLToPath(new URL("..", import.meta.url));
const APP = "app";

/**
 * How a container of Tulle starts; what it is to do comes as arguments.
 * @param {string} version
 */
export function tulleConfig(version) {
  return {
    User: `${NONROOT}:${NONROOT}`,
    Env: [PATH],
    Entrypoint: ["/usr/bin/node", "/app/bin/tulle"],
    WorkingDir: "/",
    Labels: {
      "org.opencontainers.image.title": "tulle",
      "org.opencontainers.image.version": version,
      "org.opencontainers.image.licenses": "Apache-2.0",
    },
  };
}

export const packageEntries = () => productionPackages(ROOT, APP);

/**
 * Compiled anew, not taken from dist/: that may be old, and keeps what has left src/.
 * @param {string} scratch a folder to compile into, kept until the entries are written
 */
export async function appEntries(scratch) {
  await compile(scratch);
  return [
    ...(await folderEntries(join(scratch, "dist"), `${APP}/dist`)),
    ...(await folderEntries(join(ROOT, "bin"), `${APP}/bin`)),
    ...(await folderEntries(join(ROOT, "dashboard"), `${APP}/dashboard`, isServed)),
    ...(await folderEntries(join(ROOT, "examples"), `${APP}/examples`)),
    await fileEntry(join(ROOT, "package.json"), `${APP}/package.json`),
    await fileEntry(join(ROOT, "LICENSE"), `${APP}/LICENSE`),
    { path: "usr/bin/tulle", link: `/${APP}/bin/tulle` },
  ];
}

/** Of the dashboard's folder, what a browser gets: no configuration of the compiler. @param {string} name */
const isServed = (name) => !name.endsWith(".json");

/** @param {string} scratch */
async function compile(scratch) {
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  if (!existsSync(compiler)) throw new Error("the compiler is not installed: run npm install");
  const options = [
    ...["--project", "tsconfig.build.json", "--sourceMap", "false"],
    ...["--outDir", join(scratch, "dist"), "--tsBuildInfoFile", join(scratch, "tsbuildinfo")],
  ];
  await run(process.execPath, [compiler, ...options], { cwd: ROOT }).catch((error) => {
    throw new Error(`the sources do not compile:\n${error.stdout}${error.stderr}`);
  });
}
