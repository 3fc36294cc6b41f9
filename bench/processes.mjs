/**
 * Programs that the benches start: found, pinned to a core, measured through /proc, and ended with their temporary
 * files whichever way the bench ends. Linux only.
 */
import { spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

/** Where `npm run bench:peers` puts what Debian has no package of. */
export const PEERS_FOLDER = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"), "tulle-bench");

/** Path of a program on PATH, where Debian puts daemons or in `PEERS_FOLDER`, or undefined. */
export function findProgram(name) {
  const own = path.join(PEERS_FOLDER, "bin");
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin", own];
  for (const folder of folders.filter((each) => each !== "")) {
    const file = path.join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {}
  }
  return undefined;
}

/** `[command, arguments]` that run a program on one core; as it is where there is one core or no taskset. */
function pinned(core, command, args) {
  const taskset = findProgram("taskset");
  if (taskset === undefined || core >= os.cpus().length) return [command, args];
  return [taskset, ["-c", String(core), command, ...args]];
}

/** Fields of /proc/PID/stat from the third on (the second, a name in brackets, may hold anything). */
function statOf(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** The ids of the process and of everything under it. */
export function treeOf(root) {
  const parents = new Map();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      parents.set(Number(entry), Number(statOf(entry)[1]));
    } catch {} // it ended meanwhile
  }
  const tree = [root];
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  return tree;
}

/** Nanoseconds that a thread has run (proc(5), schedstat). */
function ranFor(pid, thread) {
  return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
}

/**
 * Milliseconds of CPU, user and system, that the process and its children have used, to the microsecond: the times in
 * /proc/PID/stat go by ticks of 10 ms, which is a percent of what a second's load costs. Of threads that have ended
 * nothing is counted; those of a proxy under load stay.
 */
export function cpuMs(root) {
  let nanos = 0;
  for (const pid of treeOf(root)) {
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`)) nanos += ranFor(pid, thread);
    } catch {} // it ended meanwhile
  }
  return nanos / 1e6;
}

/** Bytes of memory that these processes hold now; none for those that are gone. */
export function rssBytes(pids) {
  let kib = 0;
  for (const pid of pids) {
    try {
      kib += Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
    } catch {}
  }
  return kib * 1024;
}

/** Files and sockets that the process has open. */
export const openFiles = (pid) => readdirSync(`/proc/${pid}/fd`).length;

/** How many files and sockets a process that we start may have open. */
export function openFilesLimit() {
  const line = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  return line?.[2] === "unlimited" ? Number.POSITIVE_INFINITY : Number(line?.[2] ?? 1024);
}

export const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A port of 127.0.0.1 that was free a moment ago. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Resolves when something accepts connections there. */
export async function reachable(address, port, withinMs = 5000) {
  const until = Date.now() + withinMs;
  for (;;) {
    const open = await new Promise((resolve) => {
      const socket = net.connect(port, address, () => resolve(true)).once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (open) return;
    if (Date.now() > until) throw new Error(`nothing listens on ${address}:${port} after ${withinMs} ms`);
    await delay(20);
  }
}

/** Everything that a bench has to take down again. `close()` does it in order; Ctrl-C and a crash do it too. */
export class Workbench {
  #children = new Set();
  #folder = mkdtempSync(path.join(os.tmpdir(), "tulle-bench-"));
  #names = 0;

  constructor() {
    process.once("exit", () => this.#endNow());
    for (const [signal, status] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ])
      process.on(signal, () => process.exit(status)); // not once: a second one must not cut the end short
  }

  /** Writes a file into the bench's temporary folder and gives its path. */
  file(name, text) {
    const file = path.join(this.#folder, name);
    writeFileSync(file, text);
    return file;
  }

  /** A name for a file or folder that nothing else in the temporary folder has. */
  fresh(name) {
    return `${++this.#names}-${name}`;
  }

  get folder() {
    return this.#folder;
  }

  /**
   * Starts a program on a core. `line` resolves with the first line of standard output that starts with `{`, and
   * rejects, with what the program said, when it ends before. `output` resolves with all of it when the program ends
   * well.
   */
  start(core, command, args) {
    const child = spawn(...pinned(core, command, args), { stdio: ["ignore", "pipe", "pipe"] });
    this.#children.add(child);
    let said = "";
    let out = "";
    child.stderr.setEncoding("utf8").on("data", (text) => {
      said = (said + text).slice(-4000);
    });
    child.stdout.setEncoding("utf8").on("data", (text) => {
      out = (out + text).slice(-1_000_000);
    });
    const output = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        this.#children.delete(child);
        const how = `${path.basename(command)} ended with ${signal ?? code}: ${said.trim() || out.trim()}`;
        if (code === 0) resolve(out);
        else reject(new Error(how));
      });
    });
    const line = new Promise((resolve, reject) => {
      const look = () => {
        const json = /^\{.*$/m.exec(out.slice(0, out.lastIndexOf("\n") + 1));
        if (json !== null) resolve(json[0]);
      };
      child.stdout.on("data", look);
      output.then(() => reject(new Error(`${path.basename(command)} ended without a line of JSON`)), reject);
    });
    output.catch(() => {});
    line.catch(() => {});
    return { pid: child.pid, line, output, running: () => child.exitCode === null && child.signalCode === null };
  }

  /** Ends one program that `start` gave, and waits for its end. */
  async stop({ pid }) {
    const child = [...this.#children].find((each) => each.pid === pid);
    if (child === undefined) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 3000);
    await ended;
    clearTimeout(timer);
  }

  async close() {
    for (const child of [...this.#children]) await this.stop(child);
    this.#removeFolder();
  }

  #endNow() {
    for (const child of this.#children) child.kill("SIGTERM");
    this.#removeFolder();
  }

  /** Some attempts: a program that is just ending may still put a file there. */
  #removeFolder() {
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}
