/**
 * An API server on a real socket (HTTP/2 without TLS) with a store of objects, lists in pages, watches and a history
 * that can be forgotten; and with every failure that a script asks of it.
 */
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { freePort } from "../../model/testkit/free-ports.ts";
import type { ApiAccess } from "../api-access.ts";
import type { RawObject } from "../reflector.ts";

/** A request that has come in. */
export interface Exchange {
  readonly stream: http2.ServerHttp2Stream;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: http2.IncomingHttpHeaders;
  readonly watch: boolean;
  /** Answers as a server in good health does. */
  serve(): void;
}

export type Fault = (exchange: Exchange) => void;

interface StoredEvent {
  readonly path: string;
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: RawObject;
}

interface OpenWatch {
  readonly path: string;
  readonly stream: http2.ServerHttp2Stream;
}

export class ScriptedApiServer {
  /** All that came in, in order. */
  readonly exchanges: Exchange[] = [];
  /** Groups of `/apis`: group → versions, the preferred one first → plural → kind. */
  readonly groups = new Map<string, Map<string, Record<string, string>>>();
  /** Connections that clients have made. */
  connections = 0;
  readonly #server = http2.createServer();
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  readonly #sockets = new Set<net.Socket>();
  readonly #relay: net.Server;
  readonly #relayed = new Set<readonly [net.Socket, net.Socket]>();
  readonly #objects = new Map<string, Map<string, RawObject>>();
  readonly #watches = new Set<OpenWatch>();
  readonly #faults: { readonly fits: (exchange: Exchange) => boolean; readonly fault: Fault }[] = [];
  readonly #waiting = new Set<{ fits: (exchange: Exchange) => boolean; resolve: (exchange: Exchange) => void }>();
  #history: StoredEvent[] = [];
  /** Versions up to it are forgotten: watches and pages from there get 410. */
  #forgotten = 0;
  #version = 100;

  private constructor() {
    this.#server.on("session", (session) => {
      this.connections++;
      this.#sessions.add(session);
      session.on("error", () => {});
      session.once("close", () => this.#sessions.delete(session));
    });
    this.#server.on("stream", (stream, headers) => this.#receive(stream, headers));
    this.#relay = net.createServer((client) => this.#join(client));
  }

  /**
   * @param port of one that comes back; nobody else gets it while it is away
   * @param version where its versions go on from: another than at first for a server that comes back
   */
  static async start(port?: number, version = 100): Promise<ScriptedApiServer> {
    const server = new ScriptedApiServer();
    server.#version = version;
    const relayPort = port ?? (await freePort());
    server.#server.listen(0, "127.0.0.1");
    server.#relay.listen(relayPort, "127.0.0.1");
    await Promise.all([once(server.#server, "listening"), once(server.#relay, "listening")]);
    return server;
  }

  get port(): number {
    return (this.#relay.address() as net.AddressInfo).port;
  }

  access(authorization: () => Promise<string | undefined> = async () => "Bearer a-token"): ApiAccess {
    return { server: `http://127.0.0.1:${this.port}`, tls: {}, authorization };
  }

  /** The next exchange that fits is left to the fault; others are served. Faults are used up in order. */
  script(fault: Fault, fits: (exchange: Exchange) => boolean = () => true): void {
    this.#faults.push({ fits, fault });
  }

  /** Faults that nothing has met are dropped. */
  heal(): void {
    this.#faults.length = 0;
  }

  /** The next exchange to come in that fits. */
  next(fits: (exchange: Exchange) => boolean = () => true): Promise<Exchange> {
    return new Promise((resolve) => this.#waiting.add({ fits, resolve }));
  }

  /** Stores the object in a new version, and tells the watches. */
  put(
    path: string,
    object: { metadata: { name: string; [field: string]: unknown }; [field: string]: unknown },
  ): RawObject {
    const version = ++this.#version;
    const stored = {
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(version) },
    } as unknown as RawObject;
    const key = keyOf(stored);
    const objects = this.#collection(path);
    const type = objects.has(key) ? "MODIFIED" : "ADDED";
    objects.set(key, stored);
    this.#happen({ path, version, type, object: stored });
    return stored;
  }

  remove(path: string, key: string): void {
    const object = this.#collection(path).get(key);
    if (object === undefined) return;
    this.#collection(path).delete(key);
    const version = ++this.#version;
    const last = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    this.#happen({ path, version, type: "DELETED", object: last });
  }

  /** As a mirror should be: version by key. */
  contents(path: string): Map<string, string> {
    return new Map([...this.#collection(path)].map(([key, { metadata }]) => [key, metadata.resourceVersion]));
  }

  /** Forgets what happened until now; what asks for it gets 410. */
  compact(): void {
    this.#history = [];
    this.#forgotten = ++this.#version;
  }

  bookmark(path: string): void {
    const object = { metadata: { name: "", resourceVersion: String(this.#version) } };
    this.writeToWatches(path, `${JSON.stringify({ type: "BOOKMARK", object })}\n`);
  }

  /** Sends events of the past once more, in the order given by their indices from the end (0 is the last). */
  repeat(path: string, backwards: readonly number[]): void {
    const events = this.#history.filter((event) => event.path === path);
    for (const index of backwards) {
      const event = events.at(-1 - index);
      if (event !== undefined) this.writeToWatches(path, line(event));
    }
  }

  writeToWatches(path: string, bytes: string | Buffer): void {
    for (const watch of this.#watches) if (watch.path === path) watch.stream.write(bytes);
  }

  /** Ends watches as a server does whose time-out for them has come. */
  endWatches(path: string): void {
    for (const watch of this.#watches) if (watch.path === path) watch.stream.end();
  }

  resetWatches(path: string): void {
    for (const watch of this.#watches) if (watch.path === path) reset(watch.stream);
  }

  /** Says on every connection that it takes no further requests. */
  goAway(): void {
    for (const session of this.#sessions) session.goaway(http2.constants.NGHTTP2_NO_ERROR);
  }

  cutConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** No byte gets through any more on the connections that there are, and none is told. */
  freezeConnections(): void {
    for (const [client, server] of this.#relayed) {
      client.unpipe(server);
      server.unpipe(client);
      client.pause();
      server.pause();
    }
  }

  async close(): Promise<void> {
    this.cutConnections();
    for (const session of this.#sessions) session.destroy();
    await Promise.all([
      new Promise((resolve) => this.#relay.close(resolve)),
      new Promise((resolve) => this.#server.close(resolve)),
    ]);
  }

  #join(client: net.Socket): void {
    const server = net.connect((this.#server.address() as net.AddressInfo).port, "127.0.0.1");
    const pair = [client, server] as const;
    this.#relayed.add(pair);
    for (const [from, to] of [pair, [server, client] as const]) {
      this.#sockets.add(from);
      from.on("error", () => {});
      from.once("close", () => {
        this.#sockets.delete(from);
        this.#relayed.delete(pair);
        to.destroy();
      });
      from.pipe(to);
    }
  }

  #collection(path: string): Map<string, RawObject> {
    const objects = this.#objects.get(path) ?? new Map<string, RawObject>();
    this.#objects.set(path, objects);
    return objects;
  }

  #happen(event: StoredEvent): void {
    this.#history.push(event);
    this.writeToWatches(event.path, line(event));
  }

  #receive(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
    stream.on("error", () => {});
    const url = new URL(headers[":path"] ?? "", "http://server");
    const exchange: Exchange = {
      stream,
      method: headers[":method"] ?? "",
      path: url.pathname,
      query: url.searchParams,
      headers,
      watch: url.searchParams.get("watch") === "1",
      serve: () => this.#serve(exchange),
    };
    this.exchanges.push(exchange);
    const index = this.#faults.findIndex(({ fits }) => fits(exchange));
    const [scripted] = index < 0 ? [] : this.#faults.splice(index, 1);
    if (scripted === undefined) exchange.serve();
    else scripted.fault(exchange);
    for (const each of this.#waiting)
      if (each.fits(exchange)) {
        this.#waiting.delete(each);
        each.resolve(exchange);
      }
  }

  #serve(exchange: Exchange): void {
    const { path, watch } = exchange;
    if (path === "/apis") respond(exchange, 200, this.#groupList());
    else if (path.startsWith("/apis/") && path.split("/").length === 4) this.#serveVersion(exchange);
    else if (watch) this.#serveWatch(exchange);
    else this.#serveList(exchange);
  }

  #groupList(): object {
    const groups = [...this.groups].map(([name, served]) => {
      const versions = [...served.keys()].map((version) => ({ groupVersion: `${name}/${version}`, version }));
      return { name, versions, preferredVersion: versions[0] };
    });
    return { kind: "APIGroupList", groups };
  }

  #serveVersion(exchange: Exchange): void {
    const [, , group = "", version = ""] = exchange.path.split("/");
    const kinds = this.groups.get(group)?.get(version);
    if (kinds === undefined) {
      respond(exchange, 404, { message: "not found", reason: "NotFound" });
      return;
    }
    const resources = Object.entries(kinds).flatMap(([name, kind]) => [
      { name, kind },
      { name: `${name}/status`, kind },
    ]);
    respond(exchange, 200, { kind: "APIResourceList", resources });
  }

  #serveList(exchange: Exchange): void {
    const { path, query } = exchange;
    const objects = [...this.#collection(path).values()];
    const limit = Number(query.get("limit") ?? objects.length) || objects.length;
    const [version = this.#version, from = 0] = (query.get("continue") ?? "").split(":").filter(Boolean).map(Number);
    if (version < this.#forgotten) {
      respond(exchange, 410, { message: "the continue token is too old", reason: "Expired" });
      return;
    }
    const rest = from + limit < objects.length ? `${version}:${from + limit}` : "";
    respond(exchange, 200, {
      kind: "List",
      metadata: { resourceVersion: String(version), continue: rest },
      items: objects.slice(from, from + limit),
    });
  }

  #serveWatch({ path, query, stream }: Exchange): void {
    const from = Number(query.get("resourceVersion"));
    stream.respond({ ":status": 200, "content-type": "application/json" });
    if (from < this.#forgotten) {
      const object = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };
      stream.end(`${JSON.stringify({ type: "ERROR", object })}\n`);
      return;
    }
    for (const event of this.#history) if (event.path === path && event.version > from) stream.write(line(event));
    const watch = { path, stream };
    this.#watches.add(watch);
    stream.once("close", () => this.#watches.delete(watch));
  }
}

/** Answers so, whatever was asked. */
export function answer(status: number, body: unknown, headers: http2.OutgoingHttpHeaders = {}): Fault {
  return (exchange) => respond(exchange, status, body, headers);
}

/** Ends the stream before any answer. */
export const cut: Fault = ({ stream }) => reset(stream);

/** Takes the request and says nothing. */
export const silence: Fault = () => {};

/** Starts its answer, and resets the stream within it. */
export const cutWithinAnswer: Fault = ({ stream }) => {
  stream.respond({ ":status": 200, "content-type": "application/json" });
  stream.write('{"kind":"List","metadata":{"resourceVersion":"', () => reset(stream));
};

/** Ends its answer in the middle of an object, as if it were complete. */
export const halfJson: Fault = (exchange) => respond(exchange, 200, '{"kind":"List","items":[{"meta');

/** RST_STREAM with INTERNAL_ERROR; `close` would end the stream in good order first. */
function reset(stream: http2.ServerHttp2Stream): void {
  stream.destroy(new Error("scripted"));
}

function respond(exchange: Exchange, status: number, body: unknown, headers: http2.OutgoingHttpHeaders = {}): void {
  exchange.stream.respond({ ":status": status, "content-type": "application/json", ...headers });
  exchange.stream.end(typeof body === "string" ? body : JSON.stringify(body));
}

function line({ type, object }: StoredEvent): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function keyOf({ metadata: { namespace, name } }: RawObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
