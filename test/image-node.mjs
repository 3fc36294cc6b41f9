/**
 * `npm run test:image-node`: the tests that depend on what the runtime can do (shared ports, the hand-over, sockets), on the
 * Node.js of the image, from npm's package `node`. Arguments go to vitest. Where it cannot be had, that is said, and nothing
 * has failed.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CACHE = join(ROOT, "node_modules/.cache/image-node");
const PROGRAM = join(CACHE, "node_modules/node/bin/node");
const TESTS = [
  "test/hand-over.test.ts",
  "test/following-proxies.test.ts",
  "test/taken-ports.test.ts",
  "src/proxy/socket",
  "src/shared-ports",
];
const INSTALL_MS = 60_000;

/** @returns the major version that the image is built from */
function imageVersion() {
  const found = /^FROM node:(\d+)/m.exec(readFileSync(join(ROOT, "Dockerfile"), "utf8"));
  if (found === null) throw new Error("Dockerfile has no `FROM node:VERSION`");
  return found[1];
}

/** @returns what it says its version is; undefined where it cannot be run */
function versionOf(program) {
  const { status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

function install(version) {
  if (existsSync(PROGRAM) && versionOf(PROGRAM)?.startsWith(`v${version}.`)) return;
  mkdirSync(CACHE, { recursive: true });
  const args = ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", CACHE, `node@${version}`];
  spawnSync("npm", args, { stdio: ["ignore", "ignore", "inherit"], timeout: INSTALL_MS });
}

const version = imageVersion();
install(version);
const said = versionOf(PROGRAM);
if (said === undefined) {
  console.log(`not tested on Node.js ${version}, the image's: npm's package node could not be had`);
} else {
  console.log(`on Node.js ${said}, the image's`);
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  const asked = process.argv.slice(2);
  const args = [vitest, "run", ...(asked.length === 0 ? TESTS : asked)];
  process.exitCode = spawnSync(PROGRAM, args, { cwd: ROOT, stdio: "inherit" }).status ?? 1;
}
