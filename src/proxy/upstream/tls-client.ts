/** What the proxy's TLS connections to endpoints share: whom they trust, and sessions to resume. */
import tls from "node:tls";
import type { UpstreamTls } from "../../config/mesh-config.ts";
import type { Log } from "../../telemetry/log.ts";
import type { EndpointState } from "../router/types.ts";

export class TlsClient {
  readonly #trustedCa: string | undefined;
  readonly #log: Log;
  /** Made at first use: reading the system's authorities takes some milliseconds and megabytes. */
  #context: tls.SecureContext | undefined;
  readonly #reported = new WeakMap<EndpointState, string>();
  readonly #sessions = new WeakMap<EndpointState, Buffer>();

  /** @param trustedCa PEM certificates of authorities trusted beside the system's */
  constructor(trustedCa: string | undefined, log: Log) {
    this.#trustedCa = trustedCa;
    this.#log = log;
  }

  /** @param settings of the endpoint's service port; @param http1Only HTTP/2 is of no use for this connection */
  options(endpoint: EndpointState, { verify, serverName }: UpstreamTls, http1Only: boolean): tls.ConnectionOptions {
    const session = this.#sessions.get(endpoint);
    return {
      secureContext: this.#secureContext(),
      servername: serverName,
      ALPNProtocols: http1Only ? ["http/1.1"] : ["h2", "http/1.1"],
      rejectUnauthorized: verify,
      // Certificates of Pods are made out to their Service, seldom to their address; either will do.
      checkServerIdentity: (_, certificate) => {
        const asService = tls.checkServerIdentity(serverName, certificate);
        return asService === undefined ? undefined : tls.checkServerIdentity(endpoint.address, certificate);
      },
      ...(session === undefined ? {} : { session }),
    };
  }

  /** The endpoint's newest session, for the next connection to it (RFC 8446 §2.2). */
  keepSession(endpoint: EndpointState, session: Buffer): void {
    this.#sessions.set(endpoint, session);
  }

  /** Callers learn that TLS failed; why is for the operator, once as long as it stays the same. */
  reportFailure(endpoint: EndpointState, why: string): void {
    if (this.#reported.get(endpoint) === why) return;
    this.#reported.set(endpoint, why);
    this.#log.warn("TLS to an endpoint failed", { endpoint: endpoint.key, pod: endpoint.config.pod ?? "", error: why });
  }

  #secureContext(): tls.SecureContext {
    const extra = this.#trustedCa === undefined ? {} : { ca: [...tls.rootCertificates, this.#trustedCa] };
    this.#context ??= tls.createSecureContext(extra);
    return this.#context;
  }
}
