/** A mesh on a cluster as its commands see it: an API server that forwards ports, and the admin APIs of Pods behind it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AdminRoutes, AdminServer, type Answer, json } from "../src/admin/admin-server.ts";
import { type ForwardedPod, ForwardingServer } from "../src/kube/testkit/forwarding-server.ts";
import { CERTIFICATE } from "../src/model/testkit/certificate.ts";
import { TulleProcess } from "./tulle-process.ts";

export class ScriptedMesh {
  readonly #closing: (() => unknown)[] = [];
  readonly #ports = new Map<string, number>();
  readonly #server: ForwardingServer;
  readonly #kubeconfig: string;

  private constructor(server: ForwardingServer, ports: Map<string, number>) {
    this.#server = server;
    this.#ports = ports;
    const folder = mkdtempSync(join(tmpdir(), "tulle-mesh-"));
    this.#closing.push(
      () => server.close(),
      () => rmSync(folder, { recursive: true }),
    );
    this.#kubeconfig = join(folder, "kubeconfig");
    const ca = Buffer.from(CERTIFICATE).toString("base64");
    const config = {
      "current-context": "c",
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
      clusters: [{ name: "c", cluster: { server: server.access.server, "certificate-authority-data": ca } }],
      users: [{ name: "u", user: { token: "secret" } }],
    };
    writeFileSync(this.#kubeconfig, JSON.stringify(config));
  }

  static async start(): Promise<ScriptedMesh> {
    const ports = new Map<string, number>();
    return new ScriptedMesh(await ForwardingServer.start((pod) => ports.get(pod) ?? "closed"), ports);
  }

  /** @param answers by path; called at each request. Absent: nothing listens there */
  async pod(pod: ForwardedPod, answers?: Readonly<Record<string, (query: URLSearchParams) => unknown>>): Promise<void> {
    this.#server.pods.push(pod);
    if (answers === undefined) return;
    const routes: AdminRoutes = Object.fromEntries(
      Object.entries(answers).map(([path, answer]) => [
        path,
        {
          says: "",
          answer: (_: readonly string[], { query }: { query: URLSearchParams }): Answer => json(answer(query)),
        },
      ]),
    );
    const admin = new AdminServer(routes);
    this.#ports.set(pod.name, (await admin.listen("127.0.0.1", 0)).port);
    this.#closing.push(() => admin.close());
  }

  /** Nothing listens there any more. @returns makes it listen again */
  silence(pod: string): () => void {
    const port = this.#ports.get(pod) as number;
    this.#ports.delete(pod);
    return () => this.#ports.set(pod, port);
  }

  run(...args: string[]): TulleProcess {
    const tulle = new TulleProcess([...args, "--kubeconfig", this.#kubeconfig, "--namespace", "tulle"]);
    this.#closing.push(() => tulle.child.kill("SIGKILL"));
    return tulle;
  }

  /** How often a port of this Pod was asked for. */
  forwards(pod: string): number {
    return this.#server.requests.filter(({ path }) => path.includes(`/pods/${pod}/`)).length;
  }

  async close(): Promise<void> {
    for (const close of this.#closing.splice(0).reverse()) await close();
  }
}
