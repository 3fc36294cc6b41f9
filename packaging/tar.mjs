// @ts-check
/**
 * Tar, written by ourselves: an image needs the 512-byte ustar header and nothing else, always the same bytes for the
 * same files, and sizes known before a byte is written. The package for it (tar-stream) brings four more with it.
 */
import { createReadStream } from "node:fs";

const BLOCK_BYTES = 512;
const FOLDER = { mode: 0o755, type: "5" };
const LINK = { mode: 0o777, type: "2" };
const FILE = { mode: 0o644, type: "0" };
/** Eleven octal digits. */
const MAX_FILE_BYTES = 8 * 2 ** 30 - 1;

/**
 * A folder, a link, or a file: its bytes, where they are read from, or what yields them (`size` bytes in all).
 * Paths have no `/` at the start. Without `mode` a file is for all to read and a folder for all to enter.
 * @typedef {{path: string, mode?: number} & (
 *   {folder: true} | {link: string} | {data: Buffer} | {file: string, size: number} |
 *   {size: number, chunks: () => AsyncIterable<Buffer>})} Entry
 */

/**
 * In the order of their paths, with the folders that lead to them, so that no reader has to make one up.
 * @param {readonly Entry[]} entries
 * @returns {Entry[]}
 */
export function ordered(entries) {
  /** @type {Map<string, Entry>} */
  const all = new Map();
  for (const entry of entries) {
    if (all.has(entry.path)) throw new Error(`${entry.path} is there twice`);
    all.set(entry.path, entry);
  }
  for (const { path } of entries)
    for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) {
      const folder = path.slice(0, at);
      if (!all.has(folder)) all.set(folder, { path: folder, folder: true });
    }
  return [...all.values()].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

/** @param {readonly Entry[]} entries */
export function tarBytes(entries) {
  const blocks = (/** @type {number} */ bytes) => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
  return entries.reduce((sum, entry) => sum + BLOCK_BYTES + blocks(sizeOf(entry)), 2 * BLOCK_BYTES);
}

/**
 * @param {readonly Entry[]} entries
 * @returns {AsyncGenerator<Buffer>}
 */
export async function* tar(entries) {
  for (const entry of entries) {
    const size = sizeOf(entry);
    yield header(entry, size);
    let sent = 0;
    for await (const chunk of content(entry)) {
      sent += chunk.length;
      yield chunk;
    }
    if (sent !== size) throw new Error(`${entry.path} has ${sent} bytes, and had ${size} before`);
    if (size % BLOCK_BYTES !== 0) yield Buffer.alloc(BLOCK_BYTES - (size % BLOCK_BYTES));
  }
  yield Buffer.alloc(2 * BLOCK_BYTES);
}

/** @param {Entry} entry */
function sizeOf(entry) {
  if ("data" in entry) return entry.data.length;
  return "size" in entry ? entry.size : 0;
}

/**
 * @param {Entry} entry
 * @returns {Iterable<Buffer> | AsyncIterable<Buffer>}
 */
function content(entry) {
  if ("data" in entry) return [entry.data];
  if ("chunks" in entry) return entry.chunks();
  return "file" in entry ? createReadStream(entry.file, { highWaterMark: 1 << 20 }) : [];
}

/**
 * POSIX.1-1988 ustar; owner 0:0 and time 0.
 * @param {Entry} entry
 * @param {number} size
 */
function header(entry, size) {
  if (size > MAX_FILE_BYTES) throw new Error(`${entry.path} is too large for a tar archive`);
  const link = "link" in entry ? entry.link : "";
  const { mode, type } = "folder" in entry ? FOLDER : "link" in entry ? LINK : FILE;
  const { prefix, name } = splitPath("folder" in entry ? `${entry.path}/` : entry.path);
  if (Buffer.byteLength(link) > 100) throw new Error(`the link ${entry.path} leads too far for a tar archive`);
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (/** @type {number} */ value, /** @type {number} */ at, /** @type {number} */ digits) =>
    block.write(value.toString(8).padStart(digits, "0"), at);
  block.write(name, 0);
  octal(entry.mode ?? mode, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size, 124, 11);
  octal(0, 136, 11);
  block.write(type, 156);
  block.write(link, 157);
  block.write("ustar\x0000", 257, "latin1");
  block.write(prefix, 345);
  // The sum counts its own field as spaces.
  block.fill(" ", 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/**
 * 100 bytes of name, behind up to 155 of folders.
 * @param {string} path
 */
function splitPath(path) {
  if (Buffer.byteLength(path) <= 100) return { prefix: "", name: path };
  for (let at = path.indexOf("/"); at > 0 && at < path.length - 1; at = path.indexOf("/", at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100) return { prefix, name };
  }
  throw new Error(`${path} is too long for a tar archive`);
}
