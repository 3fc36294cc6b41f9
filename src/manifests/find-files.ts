import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";

/** As a path: standard input, which is read once. */
export const STANDARD_INPUT = "-";

export interface FoundFile {
  readonly path: string;
  /** Changes with the content: inode, size and times. */
  readonly stamp: string;
  readonly modifiedAtMs: number;
}

export interface UnreadablePath {
  readonly path: string;
  /** Why it cannot be looked at, or cannot be what it is said to be. */
  readonly unreadable: string;
}

export interface Found {
  /** In the order in which they are read. */
  readonly places: readonly (FoundFile | UnreadablePath)[];
  /** Every folder that was looked into, and those of single files. */
  readonly folders: readonly string[];
  /** Paths that were given and are folders without a manifest. */
  readonly empty: readonly string[];
  /** Something went while it was looked at: of the rest, nobody knows whether it is whole. */
  readonly moving: boolean;
}

/** Opening a pipe waits for whoever writes to it, for ever if need be. */
export const NO_FILE = "it is no regular file (what comes through a pipe is read with -f -)";
const MANIFEST = /\.(ya?ml|json)$/i;

/** Files as given, and in folders every `*.yaml`, `*.yml` and `*.json`, however deep; hidden ones are passed over. */
export async function findFiles(paths: readonly string[]): Promise<Found> {
  const walk = new Walk();
  const empty: string[] = [];
  for (const path of paths) {
    const manifests = await walk.visit(path, true);
    if (manifests === 0 && !walk.moving) empty.push(path);
    if (!walk.folders.has(path) && path !== STANDARD_INPUT) walk.folders.add(join(path, ".."));
  }
  return { places: [...walk.places.values()], folders: [...walk.folders], empty, moving: walk.moving };
}

class Walk {
  readonly places = new Map<string, FoundFile | UnreadablePath>();
  readonly folders = new Set<string>();
  moving = false;
  /**
   * Links may lead to one place twice, or in a circle. By path, as the inode of a file that was just replaced may be that
   * of the next one which is written.
   */
  readonly #seen = new Set<string>();

  /**
   * @param given the user named it, rather than a folder
   * @returns how many places may hold manifests, those that were seen before too
   */
  async visit(path: string, given: boolean): Promise<number> {
    if (path === STANDARD_INPUT) return this.#add({ path, stamp: "", modifiedAtMs: 0 });
    try {
      const info = await stat(path);
      if (!info.isDirectory() && !given && !MANIFEST.test(path)) return 0;
      const place = await realpath(path);
      if (this.#seen.has(place)) return 1;
      this.#seen.add(place);
      if (info.isDirectory()) return await this.#visitFolder(path);
      if (!info.isFile()) return this.#add({ path, unreadable: NO_FILE });
      const { ino, size, mtimeMs, ctimeMs } = info;
      return this.#add({ path, stamp: `${ino} ${size} ${mtimeMs} ${ctimeMs}`, modifiedAtMs: mtimeMs });
    } catch (error) {
      return this.#failed(path, given, error as NodeJS.ErrnoException);
    }
  }

  async #visitFolder(path: string): Promise<number> {
    this.folders.add(path);
    const names = (await readdir(path)).filter((name) => !name.startsWith(".")).sort();
    let manifests = 0;
    for (const name of names) manifests += await this.visit(join(path, name), false);
    return manifests;
  }

  async #failed(path: string, given: boolean, { code, message }: NodeJS.ErrnoException): Promise<number> {
    if (code !== "ENOENT") return this.#add({ path, unreadable: message });
    if (given) return this.#add({ path, unreadable: "there is no such file or folder" });
    // A link that leads nowhere is passed over; what vanished after it was listed may have taken its folder with it.
    if (!(await isThere(path))) this.moving = true;
    return 0;
  }

  #add(place: FoundFile | UnreadablePath): number {
    this.places.set(place.path, place);
    return 1;
  }
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
