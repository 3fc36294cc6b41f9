/**
 * Serves the API to the API server alone, over TLS. The API server has authenticated and authorised its user before it
 * passes a request on; that it is the API server, its client certificate tells (Kubernetes: "authenticating proxy").
 */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Log } from "../telemetry/log.ts";
import type { MetricsApi } from "./metrics-api.ts";

/** Who may ask, as the cluster says in kube-system/extension-apiserver-authentication. */
export interface FrontProxyTrust {
  /** PEM. */
  readonly ca: string;
  /** Common names; empty: any that the authority signed. */
  readonly names: readonly string[];
}

export interface MetricsServerOptions {
  readonly cert: string;
  readonly key: string;
  readonly api: Pick<MetricsApi, "answer">;
  readonly log: Log;
}

/** Every Pod can connect; what is not the API server is told so and cut. */
const MAX_CONNECTIONS = 256;
const HANDSHAKE_MS = 10_000;
const MAX_HEAD_BYTES = 32 * 1024;
const MIN_VERSION = "TLSv1.2";

export class MetricsServer {
  readonly #server: https.Server;
  #certificate: { readonly cert: string; readonly key: string };
  /** Until the cluster has said whom to trust, nobody is. */
  #trust: FrontProxyTrust | undefined;

  constructor(options: MetricsServerOptions) {
    const { cert, key, api, log } = options;
    this.#certificate = { cert, key };
    this.#server = https.createServer(
      {
        cert,
        key,
        minVersion: MIN_VERSION,
        requestCert: true,
        // A refusal that can be read says more than a broken handshake.
        rejectUnauthorized: false,
        handshakeTimeout: HANDSHAKE_MS,
        maxHeaderSize: MAX_HEAD_BYTES,
      },
      (request, response) => {
        const why = this.#refusal(request.socket as TLSSocket);
        const answer =
          why === ""
            ? api.answer(request.method ?? "", request.url ?? "/")
            : Promise.resolve({ status: 401, body: unauthorized(why) });
        void answer.then(({ status, body }) => {
          const text = JSON.stringify(body);
          const length = Buffer.byteLength(text);
          const close = why === "" ? {} : { Connection: "close" };
          response.writeHead(status, { "Content-Type": "application/json", "Content-Length": length, ...close });
          response.end(request.method === "HEAD" ? undefined : text);
        });
      },
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on("tlsClientError", (error) =>
      log.debug("TrafficMetrics: no TLS with a caller", { error: error.message }),
    );
  }

  /** @returns the port. */
  async listen(address: string, port: number): Promise<number> {
    this.#server.listen(port, address);
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  /** A renewed certificate, for connections from now on. */
  setCertificate(cert: string, key: string): void {
    this.#certificate = { cert, key };
    this.#renew(this.#trust?.ca);
  }

  /**
   * Whom to believe from now on; connections that were made before begin anew.
   * @throws Error where the authority is no certificate: nobody is believed then
   */
  setTrust(trust: FrontProxyTrust | undefined): void {
    if (JSON.stringify(trust) === JSON.stringify(this.#trust)) return;
    this.#trust = undefined;
    this.#server.closeAllConnections();
    // What is no certificate would be taken for an authority that has signed nothing, and nobody would be told.
    if (trust !== undefined) new X509Certificate(trust.ca);
    this.#renew(trust?.ca);
    this.#trust = trust;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  #renew(ca: string | undefined): void {
    this.#server.setSecureContext({
      ...this.#certificate,
      minVersion: MIN_VERSION,
      ...(ca === undefined ? {} : { ca }),
    });
  }

  /** Why this caller is not answered; empty where it is. */
  #refusal(socket: TLSSocket): string {
    const trust = this.#trust;
    // Without an authority, Node.js would take the public ones for it.
    if (trust === undefined) return "the cluster has not said whose requests to trust";
    if (!socket.authorized) return "a client certificate of the API server's front proxy is needed";
    const name: unknown = socket.getPeerCertificate().subject?.CN;
    const isAllowed = trust.names.length === 0 || (typeof name === "string" && trust.names.includes(name));
    return isAllowed ? "" : "the client certificate is not one of the front proxy's names";
  }
}

function unauthorized(message: string): object {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason: "Unauthorized",
    code: 401,
  };
}
