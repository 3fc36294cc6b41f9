// @ts-check
/** Container images without a container engine. `npm run image -- --help` says what can be set. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { appEntries, packageEntries, ROOT, tulleConfig } from "./app-layers.mjs";
import { layer, writeArchive } from "./archive.mjs";
import { findProgram } from "./find-program.mjs";
import { runtimeEntries } from "./runtime-layer.mjs";
import { programLinks, SAMPLES, sampleConfig, TOOLS_IMAGE, toolEntries, toolsConfig } from "./sample-images.mjs";
import { TRAEFIK_IMAGE, traefikConfig, traefikEntries } from "./traefik-image.mjs";

const HELP = `npm run image -- --out FILE [--name NAME:TAG] [--samples FOLDER] [--traefik FILE]

  --out FILE        the image of Tulle as an archive, for docker load, ctr images import, kind and k3d
  --name NAME:TAG   its name (tulle:VERSION); a tag other than latest, or the cluster asks a registry for it
  --samples FOLDER  also the images of examples/whoami, as FOLDER/whoami.tar and FOLDER/tiny-tools.tar
  --traefik FILE    also the image ${TRAEFIK_IMAGE}, of the Traefik on the PATH; nothing where there is none
  --arch ARCH       amd64 or arm64: refuses to make anything else; this machine's own is the only one it can make
  --help

Linux only, and without a container engine: the image gets the Node.js that runs this, with its libraries. For images of
other machines, or from another system, there is the Dockerfile. docs/image.md says more.
`;

/** As the OCI image specification has them: Go's. */
const ARCHITECTURES = /** @type {Record<string, string>} */ ({ x64: "amd64", arm64: "arm64" });
const NAME = /^[a-z0-9]+([._:/-]+[a-z0-9]+)*:[A-Za-z0-9_][\w.-]{0,127}$/;

class UsageError extends Error {}

function readOptions() {
  const { values } = parseArgs({
    options: {
      out: { type: "string" },
      name: { type: "string" },
      samples: { type: "string" },
      traefik: { type: "string" },
      arch: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const { out, name, samples, traefik, arch, help } = values;
  if (!help && out === undefined && samples === undefined)
    throw new UsageError("say where to: --out FILE (see --help)");
  if (name !== undefined && !NAME.test(name)) throw new UsageError(`--name takes NAME:TAG, not "${name}"`);
  return { out, name, samples, traefik, arch, help };
}

/** @param {string | undefined} wanted */
function architecture(wanted) {
  if (process.platform !== "linux")
    throw new Error(`an image needs a Node.js for Linux, this one is for ${process.platform}: use the Dockerfile`);
  const own = ARCHITECTURES[process.arch] ?? process.arch;
  if (wanted !== undefined && wanted !== own)
    throw new Error(`this Node.js is for ${own}; for ${wanted} run this on such a machine, or use the Dockerfile`);
  return own;
}

/**
 * @param {string} file
 * @param {readonly import("./archive.mjs").Image[]} images
 */
async function write(file, images) {
  const { size, written } = await writeArchive(file, images);
  const megabytes = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  const layers = new Map(images.flatMap((image) => image.layers.map((each) => [each.digest, each])));
  const parts = [...layers.values()].map((each) => `${each.title} ${megabytes(each.size)}`);
  console.log(`${file}: ${megabytes(size)} (${parts.join(", ")})`);
  for (const { name, digest } of written) console.log(`  ${name}  ${digest}`);
}

async function main() {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  const arch = architecture(options.arch);
  const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  const scratch = await mkdtemp(join(tmpdir(), "tulle-image-"));
  try {
    const runtime = await layer(`Node.js ${process.version}`, await runtimeEntries());
    const app = await layer("tulle", await appEntries(scratch));
    if (options.out !== undefined) {
      const packages = await layer("packages", await packageEntries());
      const name = options.name ?? `tulle:${version}`;
      const layers = [runtime, packages, app];
      await write(options.out, [{ name, architecture: arch, config: tulleConfig(version), layers }]);
    }
    if (options.samples !== undefined) await writeSamples(options.samples, arch, runtime, app);
    if (options.traefik !== undefined) await writeTraefik(options.traefik, arch);
  } finally {
    await rm(scratch, { recursive: true });
  }
}

/**
 * @param {string} folder
 * @param {string} arch
 * @param {import("./archive.mjs").Layer} runtime
 * @param {import("./archive.mjs").Layer} app
 */
async function writeSamples(folder, arch, runtime, app) {
  const layers = [runtime, app, await layer("links", programLinks())];
  const whoami = SAMPLES.map((each) => ({ name: each.name, architecture: arch, config: sampleConfig(each), layers }));
  await write(join(folder, "whoami.tar"), whoami);
  const tools = await layer("tools", await toolEntries((message) => console.error(`image: ${message}`)));
  const image = { name: TOOLS_IMAGE, architecture: arch, config: toolsConfig, layers: [tools] };
  await write(join(folder, "tiny-tools.tar"), [image]);
}

/**
 * @param {string} file
 * @param {string} arch
 */
async function writeTraefik(file, arch) {
  const program = findProgram("traefik");
  if (program === undefined) {
    console.error("image: no traefik is on the PATH: its image is left out");
    return;
  }
  const layers = [await layer("traefik", await traefikEntries(program))];
  await write(file, [{ name: TRAEFIK_IMAGE, architecture: arch, config: traefikConfig, layers }]);
}

main().catch((error) => {
  console.error(`image: ${error.message}`);
  process.exitCode = error instanceof UsageError || error.code?.startsWith("ERR_PARSE_ARGS") ? 2 : 1;
});
