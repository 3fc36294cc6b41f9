/**
 * The admin API of a process: what is in force, what is wrong, whether it is up. Read only.
 *
 * A web page may give its own name an address of ours (DNS rebinding), and its visitor's browser then lets it read the
 * answers. The Host header shows that, so on loopback (one machine, `kubectl port-forward`) it must be an address or a
 * name that no stranger can own. Elsewhere, what asks is another machine, and may rightly use any name: the API server
 * passes on its own name when it proxies to a Pod.
 */
import { once } from "node:events";
import http from "node:http";
import { type AddressInfo, isIP } from "node:net";

export interface Answer<Body = string> {
  readonly status: number;
  readonly type: string;
  readonly body: Body;
  /** Besides those of every answer. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A text, or its bytes where they are made already. */
type WholeAnswer = Answer<string | Buffer>;

/** An answer without end: pieces as they come, until its reader goes or the server closes. */
export interface StreamAnswer {
  readonly type: string;
  /** @returns what is called once, when it is over for whatever reason */
  start(output: StreamOutput): () => void;
}

export interface StreamOutput {
  /** @returns false where the reader is behind, or gone: nothing was written */
  write(text: string): boolean;
  end(): void;
}

export interface AdminRequest {
  readonly query: URLSearchParams;
  /** Of the Accept field; "" where absent. */
  readonly accept: string;
  /** Of If-None-Match: what the asker has already; "" where absent. */
  readonly ifNoneMatch: string;
}

/** What is answered at a path; called for each request, so that answers are never stale. */
export interface AdminRoute {
  /** One line, for the index. */
  readonly says: string;
  /**
   * Only for who connects by loopback: on this machine, or let into the Pod, as by kubectl port-forward. What single calls
   * say is not for every Pod that can reach this port.
   */
  readonly private?: boolean;
  answer(parameters: readonly string[], request: AdminRequest): Answer | StreamAnswer | Promise<WholeAnswer>;
}

/**
 * By path; a segment `{name}` stands for any, and is given to the route. A route for `/` is a page for browsers: who
 * does not ask for HTML gets the index.
 */
export type AdminRoutes = Readonly<Record<string, AdminRoute>>;

export const json = (value: unknown, status = 200): Answer => ({
  status,
  type: "application/json; charset=utf-8",
  body: `${JSON.stringify(value, null, 2)}\n`,
});
/** As `json`, or 304 without making it where the asker has this version. */
export function versionedJson(version: string, ifNoneMatch: string, value: () => unknown): Answer {
  const headers = { ETag: `"${version}"`, "Cache-Control": "no-cache" };
  return ifNoneMatch === headers.ETag ? { ...text("", 304), headers } : { ...json(value()), headers };
}
/** For what programs read and is big: a line. */
export const compactJson = (value: unknown): Answer => ({
  status: 200,
  type: "application/json; charset=utf-8",
  body: `${JSON.stringify(value)}\n`,
});
export const text = (body: string, status = 200): Answer => ({ status, type: "text/plain; charset=utf-8", body });

/**
 * `/healthz` and `/readyz`, which every process has.
 * @param notReady why it is not ready; empty when it is
 */
export function healthRoutes(notReady: () => string): AdminRoutes {
  return {
    "/healthz": { says: "200 while the process runs", answer: () => text("ok\n") },
    "/readyz": {
      says: "200 when it is ready for traffic",
      answer: () => (notReady() === "" ? text("ok\n") : text(`not ready: ${notReady()}\n`, 503)),
    },
  };
}

const PRIVATE = "this is answered on loopback only: use kubectl port-forward, or a command of tulle that does\n";

export class AdminServer {
  readonly #server: http.Server;
  readonly #routes: AdminRoutes;

  /** @param hosts on which connections the Host header must be one of ours */
  constructor(routes: AdminRoutes, hosts: "on-loopback" | "everywhere" = "on-loopback") {
    this.#routes = routes;
    this.#server = http.createServer(async (request, response) => {
      const { host = "", accept = "", "if-none-match": ifNoneMatch = "" } = request.headers;
      const checked = hosts === "everywhere" || isLoopback(request.socket.localAddress ?? "");
      const [path = "", query = ""] = (request.url ?? "/").split("?", 2);
      const answer =
        checked && !isOwnHost(host)
          ? text(`this API does not answer to the name "${host}": use its address, or localhost\n`, 421)
          : await this.#answer(request, path, { query: new URLSearchParams(query), accept, ifNoneMatch });
      if ("start" in answer) {
        stream(answer, request, response);
        return;
      }
      const { status, type, body, headers = {} } = answer;
      const length = status === 304 ? {} : { "Content-Length": Buffer.byteLength(body) };
      response.writeHead(status, { "Content-Type": type, ...length, "X-Content-Type-Options": "nosniff", ...headers });
      response.end(request.method === "HEAD" ? undefined : body);
    });
  }

  get listening(): boolean {
    return this.#server.listening;
  }

  /** @param port 0 for any. @returns where it listens. @throws the error of listen(2); another try may follow */
  async listen(address: string, port: number): Promise<{ address: string; port: number }> {
    this.#server.listen(port, address);
    await once(this.#server, "listening");
    const bound = this.#server.address() as AddressInfo;
    return { address: bound.address, port: bound.port };
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(
    { method, socket }: http.IncomingMessage,
    path: string,
    request: AdminRequest,
  ): Promise<WholeAnswer | StreamAnswer> {
    if (method !== "GET" && method !== "HEAD") return text("this API is read only\n", 405);
    if (path === "/" && !(request.accept.includes("text/html") && "/" in this.#routes)) return text(this.#index());
    const found = find(this.#routes, path);
    if (found?.route.private === true && !isLoopback(socket.localAddress ?? "")) return text(PRIVATE, 403);
    return (await answerAt(this.#routes, path, request)) ?? text(`nothing here; there is:\n${this.#index()}`, 404);
  }

  #index(): string {
    const width = Math.max(...Object.keys(this.#routes).map((path) => path.length)) + 2;
    return Object.entries(this.#routes)
      .map(([path, { says }]) => `${path.padEnd(width)}${says}\n`)
      .join("");
  }
}

/** @returns undefined where there is no such route */
export async function answerAt(
  routes: AdminRoutes,
  path: string,
  request: AdminRequest,
): Promise<WholeAnswer | StreamAnswer | undefined> {
  const found = find(routes, path);
  try {
    return await found?.route.answer(found.parameters, request);
  } catch (error) {
    return text(`${(error as Error).message}\n`, 500);
  }
}

function find(routes: AdminRoutes, path: string): { route: AdminRoute; parameters: readonly string[] } | undefined {
  for (const [pattern, route] of Object.entries(routes)) {
    const parameters = match(pattern, path);
    if (parameters !== undefined) return { route, parameters };
  }
  return undefined;
}

function stream({ type, start }: StreamAnswer, request: http.IncomingMessage, response: http.ServerResponse): void {
  response.writeHead(200, { "Content-Type": type, "Cache-Control": "no-store" });
  if (request.method === "HEAD" || response.destroyed) {
    response.end();
    return;
  }
  response.flushHeaders();
  const stop = start({
    write(text) {
      if (response.writableNeedDrain || response.writableEnded || response.destroyed) return false;
      response.write(text);
      return true;
    },
    end: () => response.end(),
  });
  response.on("close", stop);
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.replace(/^::ffff:/, "").startsWith("127.");
}

/** An address, localhost, or a name without a dot, which is nobody's in public DNS; none for HTTP/1.0. */
function isOwnHost(host: string): boolean {
  const name = host.toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "");
  return name.endsWith(".localhost") || isIP(name.replace(/^\[|\]$/g, "")) !== 0 || !name.includes(".");
}

/** @returns what stands for the pattern's `{…}` segments; undefined where it does not fit */
function match(pattern: string, path: string): string[] | undefined {
  const wanted = pattern.split("/");
  const segments = path.split("/");
  if (wanted.length !== segments.length) return undefined;
  const parameters: string[] = [];
  for (const [index, segment] of segments.entries()) {
    if (wanted[index]?.startsWith("{")) parameters.push(segment);
    else if (wanted[index] !== segment) return undefined;
  }
  return parameters;
}
