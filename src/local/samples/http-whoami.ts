/**
 * traefik/whoami: says who answered and what was asked. Its server is node:http, because a sample is not the data path;
 * its answers have the image's form to the byte.
 */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { pipeline, Readable } from "node:stream";
import { parseGoDuration } from "../../model/go-duration.ts";
import type { Log } from "../../telemetry/log.ts";
import { dataBytes, dataContent } from "./data-content.ts";
import { HealthStatus } from "./health-status.ts";
import type { SampleSpec } from "./sample-images.ts";
import { drain, listen, SAMPLE_DRAIN_MS } from "./sample-server.ts";
import type { RunningSample, SampleOptions } from "./samples.ts";
import { handshakeAnswer, handshakeRefusal, WebSocketEcho } from "./web-socket-echo.ts";
import { addressText, canonicalFields, identityLines, requestText, selfOf, type WhoamiSelf } from "./whoami-text.ts";

const TEXT = "text/plain; charset=utf-8";
/** Longer than proxies keep idle connections, so that none is closed under a request. */
const KEEP_ALIVE_MS = 300_000;
const HEAD_MS = 15_000;
const MAX_HEAD_BYTES = 256 << 10;
/** The longest delay that a timer holds. */
const MAX_WAIT_MS = 2 ** 31 - 1;
/** What is longer goes out in chunks. */
const MAX_BUFFERED_BYTES = 2048;

type Handler = (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => void;

/** @throws the error of bind(2) */
export async function startHttpWhoami(spec: SampleSpec, port: number, options: SampleOptions): Promise<RunningSample> {
  const whoami = new HttpWhoami(spec, options);
  await whoami.listen(port);
  return whoami;
}

class HttpWhoami implements RunningSample {
  readonly protocol = "TCP";
  readonly #options: SampleOptions;
  readonly #self: WhoamiSelf;
  readonly #requestLog: Log | undefined;
  readonly #server: http.Server;
  readonly #sockets = new Set<Socket>();
  readonly #webSockets = new Set<WebSocketEcho>();
  readonly #health = new HealthStatus();
  readonly #handlers: ReadonlyMap<string, Handler>;
  /** Asked for an upgrade: node reads nothing after their heads. */
  readonly #bodiless = new WeakSet<IncomingMessage>();
  #port = 0;
  #closing = false;

  constructor(spec: SampleSpec, options: SampleOptions) {
    this.#options = options;
    this.#self = selfOf(spec, options);
    this.#requestLog = spec.verbose ? options.log : undefined;
    this.#handlers = new Map<string, Handler>([
      ["/api", (request, response) => this.#api(request, response)],
      ["/bench", (_, response) => reply(response, 200, "text/plain", "1")],
      ["/data", (request, response, query) => this.#data(request, response, query)],
      ["/echo", (request, response) => refuseWebSocket(request, response)],
      ["/health", (request, response) => this.#health.handle(request, response)],
    ]);
    this.#server = http.createServer({
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: HEAD_MS,
      maxHeaderSize: MAX_HEAD_BYTES,
      noDelay: true,
    });
    this.#server.on("request", (request, response) => this.#handle(request, response));
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket as Socket, head));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  get port(): number {
    return this.#port;
  }

  async listen(port: number): Promise<void> {
    this.#port = await listen(this.#server, this.#options.address, port);
    // After that, of single accepts (EMFILE): the next ones may succeed.
    this.#server.on("error", (error) => this.#options.log.warn("sample", { error: error.message }));
  }

  async close(): Promise<void> {
    this.#closing = true;
    const { clock, requestDrainMs = SAMPLE_DRAIN_MS } = this.#options;
    const drained = drain(this.#server, this.#sockets, clock, requestDrainMs);
    this.#server.closeIdleConnections();
    // Node counts a connection without any request as busy.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
    for (const webSocket of this.#webSockets) webSocket.goAway();
    await drained;
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const target = request.url ?? "/";
    const question = target.indexOf("?");
    const path = pathOf(question < 0 ? target : target.slice(0, question));
    const query = new URLSearchParams(question < 0 ? "" : target.slice(question + 1));
    this.#requestLog?.info("sample request", { pod: this.#self.podName, method: request.method ?? "", target });
    if (this.#closing) response.setHeader("Connection", "close");
    response.on("close", () => {
      if (this.#closing) this.#server.closeIdleConnections();
    });
    const handler = this.#handlers.get(path);
    if (handler === undefined) this.#whoami(request, response, query);
    else handler(request, response, query);
  }

  #whoami(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    // Read now: once the connection is gone, so is its address.
    const remote = remoteAddress(request);
    const waitMs = parseGoDuration(query.get("wait") ?? "") ?? 0;
    if (waitMs <= 0) {
      this.#answer(request, response, remote);
      return;
    }
    const timer = this.#options.clock.after(Math.min(waitMs, MAX_WAIT_MS), () =>
      this.#answer(request, response, remote),
    );
    response.on("close", () => timer.cancel());
  }

  #answer(request: IncomingMessage, response: ServerResponse, remote: string): void {
    const self = `${identityLines(this.#self)}RemoteAddr: ${remote}\n`;
    const head = Buffer.concat([Buffer.from(self), Buffer.from(requestText(seen(request)), "latin1")]);
    const length = request.headers["content-length"];
    const chunked = request.headers["transfer-encoding"] !== undefined;
    if (this.#bodiless.has(request) || (!chunked && Number(length ?? 0) === 0)) {
      reply(response, 200, TEXT, head);
      return;
    }
    response.setHeader("Content-Type", TEXT);
    if (length !== undefined) response.setHeader("Content-Length", head.length + Number(length));
    response.write(head);
    if (chunked) pipeline(request, inChunks, response, ignore);
    else pipeline(request, response, ignore);
  }

  #api(request: IncomingMessage, response: ServerResponse): void {
    const { target, host, method, rawHeaders } = seen(request);
    const fields = [...canonicalFields(rawHeaders)]
      .filter(([name]) => name !== "Host" && name !== "Transfer-Encoding" && name !== "Trailer")
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const { podName, addresses, name } = this.#self;
    const body = {
      hostname: podName,
      ip: addresses,
      headers: Object.fromEntries(fields),
      url: target,
      host,
      method,
      ...(name === "" ? {} : { name }),
      remoteAddr: remoteAddress(request),
    };
    reply(response, 200, "application/json", `${JSON.stringify(body)}\n`);
  }

  #data(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    const bytes = dataBytes(query);
    const attachment = ["1", "t", "T", "true", "TRUE", "True"].includes(query.get("attachment") ?? "");
    response.setHeader("Content-Type", TEXT);
    if (attachment) response.setHeader("Content-Disposition", "attachment");
    if (attachment || bytes <= MAX_BUFFERED_BYTES) response.setHeader("Content-Length", bytes);
    if (request.method === "HEAD") response.end();
    else pipeline(Readable.from(dataContent(bytes)), response, ignore);
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    if (pathOf((request.url ?? "").split("?")[0] ?? "") === "/echo" && handshakeRefusal(request) === undefined) {
      socket.write(handshakeAnswer(request));
      const webSocket = new WebSocketEcho(socket, head);
      this.#webSockets.add(webSocket);
      socket.on("close", () => this.#webSockets.delete(webSocket));
      return;
    }
    // Whoever offers an upgrade that is not known here (h2c, say) gets the plain answer.
    const response = new http.ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.on("finish", () => socket.end());
    this.#bodiless.add(request);
    this.#handle(request, response);
    socket.resume();
  }
}

/** Errors of a pipeline are a peer that went away: both ends are destroyed by then. */
function ignore(): void {}

function reply(response: ServerResponse, status: number, contentType: string, body: string | Buffer): void {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  response.writeHead(status, { "Content-Type": contentType, "Content-Length": bytes.length });
  response.end(bytes);
}

function refuseWebSocket(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader("Sec-WebSocket-Version", "13");
  reply(response, 400, TEXT, `Bad Request: ${handshakeRefusal(request) ?? "no WebSocket here"}\n`);
}

async function* inChunks(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const bytes of source)
    yield Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
  yield Buffer.from("0\r\n\r\n");
}

const ABSOLUTE = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i;

/** The target without scheme and authority, which a request to a proxy has (RFC 9112 §3.2.2). */
function pathOf(target: string): string {
  const rest = target.replace(ABSOLUTE, "");
  return rest.startsWith("/") || rest === "*" ? rest : `/${rest}`;
}

function seen(request: IncomingMessage) {
  const { method = "", url = "", httpVersion, rawHeaders } = request;
  const authority = ABSOLUTE.exec(url)?.[1];
  return { method, target: pathOf(url), host: authority ?? request.headers.host ?? "", httpVersion, rawHeaders };
}

function remoteAddress(request: IncomingMessage): string {
  const { remoteAddress = "", remotePort = 0 } = request.socket;
  return addressText(remoteAddress, remotePort);
}
