/**
 * Who a proxy is: its ServiceAccount token, bound to our audience, reviewed by the API server. A review is kept as long
 * as the token lives, so a proxy that reconnects is known while the API server is away.
 */
import { createHash } from "node:crypto";
import type { PeerIdentity } from "../config-stream/subscriber.ts";
import type { Api } from "../kube/api-client.ts";
import type { Clock } from "../model/clock.ts";
import { CONFIG_AUDIENCE, CONTROLLER, PROXY } from "./own-objects.ts";

interface TokenReview {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly error?: string;
    readonly audiences?: readonly string[];
    readonly user?: { readonly username?: string; readonly extra?: Readonly<Record<string, readonly string[]>> };
  };
}

const POD_NAME = "authentication.kubernetes.io/pod-name";
const NODE_NAME = "authentication.kubernetes.io/node-name";
const MAX_REMEMBERED = 10_000;

export class TokenReviewer {
  readonly #api: Api;
  readonly #clock: Clock;
  readonly #namespace: string;
  readonly #nodeOf: (pod: string) => string | undefined;
  readonly #known = new Map<string, { identity: PeerIdentity; until: number }>();

  /** @param nodeOf the node of a Pod of our namespace, for servers before 1.30, whose reviews do not say it */
  constructor(options: {
    readonly api: Api;
    readonly clock: Clock;
    readonly namespace: string;
    nodeOf(pod: string): string | undefined;
  }) {
    this.#api = options.api;
    this.#clock = options.clock;
    this.#namespace = options.namespace;
    this.#nodeOf = options.nodeOf;
  }

  /** @throws Error with the reason */
  async identify(token: string): Promise<PeerIdentity> {
    const hash = createHash("sha256").update(token).digest("hex");
    const known = this.#known.get(hash);
    if (known !== undefined && known.until > this.#clock.wall()) return known.identity;
    const identity = await this.#review(token);
    if (this.#known.size >= MAX_REMEMBERED) this.#known.delete(this.#known.keys().next().value as string);
    this.#known.set(hash, { identity, until: expiryOf(token) });
    return identity;
  }

  async #review(token: string): Promise<PeerIdentity> {
    const { status } = await this.#api.request<TokenReview>("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {
      body: {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenReview",
        spec: { token, audiences: [CONFIG_AUDIENCE] },
      },
    });
    if (status?.authenticated !== true)
      throw new Error(`the token is not valid: ${status?.error ?? "no reason given"}`);
    if (!(status.audiences ?? []).includes(CONFIG_AUDIENCE))
      throw new Error(`the token is not for the audience ${CONFIG_AUDIENCE}`);
    const { username = "", extra = {} } = status.user ?? {};
    const role = this.#roleOf(username);
    if (role === undefined) {
      const wanted = `system:serviceaccount:${this.#namespace}:${PROXY}`;
      throw new Error(`the token is of ${username}, not of ${wanted}`);
    }
    const pod = extra[POD_NAME]?.[0];
    if (pod === undefined) throw new Error("the token is bound to no Pod: a projected token is expected");
    return { role, pod, node: extra[NODE_NAME]?.[0] ?? this.#nodeOf(pod) ?? "" };
  }

  #roleOf(username: string): PeerIdentity["role"] | undefined {
    const prefix = `system:serviceaccount:${this.#namespace}:`;
    if (username === prefix + PROXY) return "proxy";
    return username === prefix + CONTROLLER ? "controller" : undefined;
  }
}

/** Milliseconds since the epoch at which a JWT ends; 0 where it does not say. The API server has checked the token. */
function expiryOf(token: string): number {
  try {
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as { exp?: number };
    return (claims.exp ?? 0) * 1000;
  } catch {
    return 0;
  }
}
