/** Makes the images and brings them into the cluster that KUBECONFIG names; says how to get one where there is none. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TRAEFIK_IMAGE } from "../../packaging/traefik-image.mjs";
import { MESH_NAMESPACE, RELEASE, SETTINGS } from "./cluster.ts";

const HOW = `npm run e2e needs a cluster to install into, and kubectl and helm on the PATH. For example:

  kind create cluster && npm run e2e
  k3d cluster create && npm run e2e

It uses what KUBECONFIG (or ~/.kube/config) points at, and its own namespaces there. Images are loaded with kind or k3d as
the context says; on any other cluster, say how: TULLE_E2E_LOAD="a command that takes archives", or push the image yourself
and set TULLE_E2E_REPOSITORY, TULLE_E2E_TAG and TULLE_E2E_LOAD=true.`;

export default function setup(): () => void {
  const context = tell(() => run("kubectl", "config", "current-context").trim());
  tell(() => run("kubectl", "get", "nodes"));
  tell(() => run("helm", "version"));
  removeLeftovers();
  const folder = mkdtempSync(join(tmpdir(), "tulle-e2e-"));
  const samples = join(folder, "samples");
  const archive = join(folder, "tulle.tar");
  const name = `${SETTINGS.repository}:${SETTINGS.tag}`;
  console.log(`making ${name} and the sample images`);
  const traefik = join(folder, "traefik.tar");
  const images = ["--out", archive, "--name", name, "--samples", samples, "--traefik", traefik];
  run("npm", "run", "--silent", "image", "--", ...images);
  const others = existsSync(traefik) ? [traefik] : [];
  const archives = [archive, ...others, ...readdirSync(samples).map((file) => join(samples, file))];
  process.env["TULLE_E2E_TRAEFIK"] ??= others.length > 0 ? TRAEFIK_IMAGE : "";
  console.log(`loading ${archives.length} archives into ${context}`);
  load(context, archives);
  return () => rmSync(folder, { recursive: true, force: true });
}

/** Of a run that was cut short. */
function removeLeftovers(): void {
  for (const namespace of [MESH_NAMESPACE, "tulle-elsewhere"])
    if (run("helm", "list", "-n", namespace, "-q").split("\n").includes(RELEASE))
      run("helm", "uninstall", RELEASE, "-n", namespace, "--wait", "--timeout=180s");
  run(
    "kubectl",
    "delete",
    "namespace",
    "whoami",
    "load",
    "scale",
    "traefik-mesh-before",
    "smi-versions",
    "--ignore-not-found",
    "--wait=true",
    "--timeout=120s",
  );
}

function load(context: string, archives: readonly string[]): void {
  const command = process.env["TULLE_E2E_LOAD"];
  if (command !== undefined) run("sh", "-c", `${command} "$@"`, "sh", ...archives);
  else if (context.startsWith("kind-"))
    for (const archive of archives) run("kind", "load", "image-archive", archive, "--name", context.slice(5));
  else if (context.startsWith("k3d-")) run("k3d", "image", "import", "-c", context.slice(4), ...archives);
  else throw new Error(`how images get into the cluster "${context}" is not known.\n\n${HOW}`);
}

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 * 1024 * 1024,
  });
}

/** What goes wrong here is that there is no cluster, or no program to reach it. */
function tell<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw new Error(`${(error as Error).message}\n\n${HOW}`);
  }
}
