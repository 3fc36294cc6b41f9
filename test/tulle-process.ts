/** `bin/tulle` as people run it: in a process of its own. Built by `npm test` before the tests. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Of `tulle local`: no two meshes of this machine meet. */
export const ANY_PORTS = ["--dns", "127.0.0.1:0", "--socks", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

export interface RunResult {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** One of them, and what it has said so far. */
export class TulleProcess {
  readonly child: ChildProcessWithoutNullStreams;
  readonly said = { out: "", err: "" };
  readonly ended: Promise<RunResult>;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    // Whatever cluster the machine's owner works with is none of these tests'.
    const inherited = Object.entries(process.env).filter(([name]) => !/^(TULLE_|TRAEFIK_MESH_|MAESH_|KUBE)/.test(name));
    this.child = spawn(process.execPath, [join(ROOT, "bin/tulle"), ...args], {
      cwd: ROOT,
      env: { ...Object.fromEntries(inherited), HOME: "/nonexistent", ...env },
    });
    this.child.stdout.on("data", (bytes: Buffer) => {
      this.said.out += bytes;
    });
    this.child.stderr.on("data", (bytes: Buffer) => {
      this.said.err += bytes;
    });
    this.ended = once(this.child, "close").then(([code]) => ({ code: code as number | null, ...this.said }));
  }

  /** Waits for what it says on standard output. @throws Error where it ends before */
  async says(wanted: (out: string) => boolean): Promise<void> {
    const over = this.ended.then(({ code, err }) => {
      if (!wanted(this.said.out)) throw new Error(`tulle has ended with ${code}: ${err}`);
    });
    while (!wanted(this.said.out)) await Promise.race([once(this.child.stdout, "data"), over]);
    over.catch(() => undefined);
  }
}

/** Is gone when the test is over. */
export function startTulle(args: readonly string[], env?: Readonly<Record<string, string>>): TulleProcess {
  const tulle = new TulleProcess(args, env);
  onTestFinished(() => {
    tulle.child.kill("SIGKILL");
  });
  return tulle;
}

/** Until it ends. */
export function runTulle(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<RunResult> {
  return startTulle(args, env).ended;
}

/** A folder with one file, which is gone when the test is over. */
export async function folderOf(name: string, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tulle-cli-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, name), text);
  return folder;
}
