/**
 * `npm run test:h2spec`: the conformance suite of HTTP/2, h2spec, against the port of a mesh service. It is built from its
 * Go module, so it needs Go; the program is kept in node_modules/.cache.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MODULE = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible";
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CACHE = join(ROOT, "node_modules/.cache/h2spec");

/** A service of one sample Pod. */
const MANIFESTS = `apiVersion: v1
kind: Service
metadata: {name: whoami, namespace: whoami}
spec: {selector: {app: whoami}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: whoami, namespace: whoami, labels: {app: whoami}}
spec: {containers: [{name: whoami, image: traefik/whoami:v1.6.0}]}
`;

function build() {
  const program = join(CACHE, "h2spec");
  if (existsSync(program)) return program;
  if (spawnSync("go", ["version"]).status !== 0) throw new Error("h2spec is built by Go, and there is no `go` here");
  mkdirSync(CACHE, { recursive: true });
  console.log("building h2spec …");
  const built = spawnSync("go", ["install", MODULE], { env: { ...process.env, GOBIN: CACHE }, stdio: "inherit" });
  if (built.status !== 0) throw new Error("h2spec could not be built");
  return program;
}

/** A mesh on loopback. @returns where its service listens, and how to end it */
async function startMesh(folder) {
  writeFileSync(join(folder, "mesh.yaml"), MANIFESTS);
  const anyPorts = ["--dns", "--socks", "--admin"].flatMap((flag) => [flag, "127.0.0.1:0"]);
  const args = ["local", "-f", folder, "--json", ...anyPorts];
  const mesh = spawn(process.execPath, [join(ROOT, "bin/tulle"), ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  for await (const piece of mesh.stdout) {
    text += piece;
    if (text.includes("\n")) break;
  }
  const [service] = JSON.parse(text).services;
  const [port] = service.ports;
  const stop = async () => {
    mesh.kill("SIGTERM");
    if (mesh.exitCode === null) await once(mesh, "exit");
  };
  return { address: service.meshIP, port: port.boundPort ?? port.port, stop };
}

async function main() {
  const program = build();
  const folder = mkdtempSync(join(tmpdir(), "tulle-h2spec-"));
  const mesh = await startMesh(folder);
  try {
    const suite = spawn(program, ["-h", mesh.address, "-p", String(mesh.port)], { stdio: "inherit" });
    const [code] = await once(suite, "exit");
    process.exitCode = code ?? 1;
  } finally {
    await mesh.stop();
    rmSync(folder, { recursive: true });
  }
}

await main();
