/** The admin API of one machine: what is in force, what is wrong, whether it is up. Read only, on loopback. */
import http from "node:http";
import type { AddressInfo } from "node:net";

/** What the API reads; each is called for a request, so that answers are never stale. */
export interface AdminSource {
  config(): unknown;
  problems(): unknown;
  nodes(): unknown;
  ready(): boolean;
  /** Prometheus text format. */
  metrics(): string;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const json = (value: unknown, status = 200): Answer => ({
  status,
  type: "application/json; charset=utf-8",
  body: `${JSON.stringify(value, null, 2)}\n`,
});
const text = (body: string, status = 200): Answer => ({ status, type: "text/plain; charset=utf-8", body });

type Routes = Readonly<Record<string, { readonly says: string; answer(): Answer }>>;

export class AdminServer {
  readonly #server: http.Server;
  readonly #routes: Routes;

  constructor(source: AdminSource) {
    const readiness = () =>
      source.ready() ? text("ok\n") : text("not ready: no configuration is in force yet\n", 503);
    this.#routes = {
      "/api/config": {
        says: "the configuration in force (MeshConfig) and its version",
        answer: () => json(source.config()),
      },
      "/api/problems": { says: "what is wrong with which object", answer: () => json(source.problems()) },
      "/api/status/nodes": { says: "the proxies and what they run", answer: () => json(source.nodes()) },
      "/api/status/readiness": { says: "200 when a configuration is in force", answer: readiness },
      "/healthz": { says: "200 while the process runs", answer: () => text("ok\n") },
      "/readyz": { says: "as /api/status/readiness", answer: readiness },
      "/metrics": {
        says: "counters for Prometheus",
        answer: () => ({ status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: source.metrics() }),
      },
    };
    this.#server = http.createServer((request, response) => {
      const answer = this.#answer(request.method ?? "", (request.url ?? "/").split("?", 1)[0] as string);
      response.writeHead(answer.status, {
        "Content-Type": answer.type,
        "Content-Length": Buffer.byteLength(answer.body),
      });
      response.end(request.method === "HEAD" ? undefined : answer.body);
    });
  }

  /** @param port 0 for any. @returns where it listens */
  async listen(address: string, port: number): Promise<{ address: string; port: number }> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, address, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    const bound = this.#server.address() as AddressInfo;
    return { address: bound.address, port: bound.port };
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  #answer(method: string, path: string): Answer {
    if (method !== "GET" && method !== "HEAD") return text("this API is read only\n", 405);
    if (path === "/") return text(this.#index());
    const route = this.#routes[path];
    return route === undefined ? text(`nothing here; there is:\n${this.#index()}`, 404) : route.answer();
  }

  #index(): string {
    const width = Math.max(...Object.keys(this.#routes).map((path) => path.length)) + 2;
    return Object.entries(this.#routes)
      .map(([path, { says }]) => `${path.padEnd(width)}${says}\n`)
      .join("");
  }
}
