import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

export interface FoundFile {
  readonly path: string;
  /** Changes with the content: inode, size and times. */
  readonly stamp: string;
  readonly modifiedAtMs: number;
  readonly size: number;
}

export interface Found {
  readonly files: readonly FoundFile[];
  /** Every folder that was looked into, and those of single files. */
  readonly folders: readonly string[];
  /** Paths that cannot be read, with the reason. */
  readonly unreadable: readonly { readonly path: string; readonly reason: string }[];
}

const MANIFEST = /\.(ya?ml|json)$/i;

/** Files as given, and in folders every `*.yaml`, `*.yml` and `*.json`, however deep; hidden ones are passed over. */
export async function findFiles(paths: readonly string[]): Promise<Found> {
  const files = new Map<string, FoundFile>();
  const folders = new Set<string>();
  const unreadable: { path: string; reason: string }[] = [];
  // By device and inode: links may lead to one place twice, or in a circle.
  const seen = new Set<string>();
  const visit = async (path: string, given: boolean): Promise<void> => {
    try {
      const info = await stat(path);
      const place = `${info.dev} ${info.ino}`;
      if (seen.has(place)) return;
      seen.add(place);
      if (info.isDirectory()) {
        folders.add(path);
        const names = (await readdir(path)).filter((name) => !name.startsWith(".")).sort();
        for (const name of names) await visit(join(path, name), false);
      } else if (given || MANIFEST.test(path)) {
        const { ino, size, mtimeMs, ctimeMs } = info;
        files.set(path, { path, stamp: `${ino} ${size} ${mtimeMs} ${ctimeMs}`, modifiedAtMs: mtimeMs, size });
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // What vanished between the listing and the look at it is simply gone.
      if (given || code !== "ENOENT")
        unreadable.push({ path, reason: code === "ENOENT" ? "there is no such file or folder" : message });
    }
  };
  for (const path of paths) {
    await visit(path, true);
    if (!folders.has(path)) folders.add(join(path, ".."));
  }
  return { files: [...files.values()], folders: [...folders], unreadable };
}
