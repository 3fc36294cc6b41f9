// @ts-check
/**
 * Images as an archive in the form of `docker save`, which `docker load`, `ctr images import`, kind and k3d all read:
 * manifest.json, a config for each image, and the layers, each once however many images have it. A layer is read twice,
 * for its digest and into the archive, so that none is ever held in memory or in a second file.
 */
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { ordered, tar, tarBytes } from "./tar.mjs";

/** @typedef {import("./tar.mjs").Entry} Entry */
/** @typedef {{title: string, size: number, digest: string, entries: readonly Entry[]}} Layer */
/**
 * `config` is the image specification's: Entrypoint, User and so on.
 * @typedef {{name: string, architecture: string, config: Record<string, unknown>, layers: readonly Layer[]}} Image
 */
/** @typedef {{name: string, digest: string}} Written the digest of its config, which is the image's ID */

/**
 * @param {string} title
 * @param {readonly Entry[]} files
 * @returns {Promise<Layer>}
 */
export async function layer(title, files) {
  const entries = ordered(files);
  const hash = createHash("sha256");
  for await (const chunk of tar(entries)) hash.update(chunk);
  return { title, entries, size: tarBytes(entries), digest: hash.digest("hex") };
}

/**
 * The file is there whole or not at all.
 * @param {string} file
 * @param {readonly Image[]} images
 * @returns {Promise<{size: number, written: Written[]}>}
 */
export async function writeArchive(file, images) {
  const configs = images.map((image) => Buffer.from(JSON.stringify(configOf(image))));
  const digests = configs.map((config) => createHash("sha256").update(config).digest("hex"));
  const manifest = images.map(({ name, layers }, index) => ({
    Config: `${digests[index]}.json`,
    RepoTags: [name],
    Layers: layers.map(({ digest }) => `${digest}.tar`),
  }));
  /** @type {Map<string, Entry>} */
  const entries = new Map();
  for (const { layers } of images) for (const each of layers) entries.set(each.digest, layerEntry(each));
  for (const [index, data] of configs.entries())
    entries.set(`${index}`, { path: /** @type {{Config: string}} */ (manifest[index]).Config, data });
  entries.set("manifest", { path: "manifest.json", data: Buffer.from(JSON.stringify(manifest)) });
  const archive = ordered([...entries.values()]);
  await mkdir(dirname(resolve(file)), { recursive: true });
  const partial = `${file}.partial`;
  try {
    await pipeline(tar(archive), createWriteStream(partial));
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  const written = images.map(({ name }, index) => ({ name, digest: `sha256:${digests[index]}` }));
  return { size: tarBytes(archive), written };
}

/** @param {Image} image */
function configOf({ architecture, config, layers }) {
  const created = new Date(0).toISOString();
  return {
    architecture,
    os: "linux",
    created,
    config,
    rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => `sha256:${digest}`) },
    history: layers.map(({ title }) => ({ created, created_by: `packaging: ${title}` })),
  };
}

/**
 * @param {Layer} layer
 * @returns {Entry}
 */
function layerEntry({ digest, size, entries }) {
  return { path: `${digest}.tar`, size, chunks: () => unchanged(tar(entries), digest) };
}

/**
 * @param {AsyncIterable<Buffer>} bytes
 * @param {string} digest
 */
async function* unchanged(bytes, digest) {
  const hash = createHash("sha256");
  for await (const chunk of bytes) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest("hex") !== digest) throw new Error("a file changed while it was packed; try again");
}
