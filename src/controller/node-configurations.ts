/**
 * `/api/status/node/{pod}/configuration`: what one proxy has in force, as the proxy itself says. It is asked over its config
 * stream, by the replica that it follows; a replica that it does not follow asks that one. Of two of one name, at whichever
 * replicas, the one is asked that `/api/status/nodes` tells of.
 */
import { type AdminRoutes, type Answer, text } from "../admin/admin-server.ts";
import type { AnswerReader } from "../config-stream/ask-channel.ts";
import type { ConfigServer } from "../config-stream/config-server.ts";
import type { AskableProxy } from "../config-stream/subscriber.ts";
import type { Clock } from "../model/clock.ts";
import { type Connected, keepNewest } from "./newest-of-pod.ts";
import type { FarStream } from "./peer-replicas.ts";

export interface NodeConfigurationsOptions {
  readonly server: Pick<ConfigServer, "askable">;
  readonly clock: Clock;
  /**
   * Asks the other replicas.
   * @param at address of the one that is asked; absent: each
   * @returns says that the answers are not wanted any more
   */
  askPeers(path: string, reader: () => AnswerReader, at?: string): () => void;
  /** Proxies that follow the other replicas. */
  peerStreams(): Promise<readonly PeerHeld[]>;
  /** The other replicas, at this moment. */
  peers(): number;
  /** Whether there is a proxy of that name. */
  isProxy(pod: string): boolean;
}

type PeerHeld = Connected & Pick<FarStream, "pod" | "at">;

/** Who has a proxy's connection: this replica, or another. */
interface Holder extends Connected {
  readonly proxy?: AskableProxy;
  readonly at?: string;
}

interface Asked {
  /** As in HTTP; 0: it was not reached. */
  readonly status: number;
  readonly body: string;
}

/** A configuration of 10,000 Services is some 10 MB, which the proxy writes in about a second. */
const ANSWER_MS = 5_000;
const PEER_ANSWER_MS = 7_000;
const CONFIG = "/api/config";
const PEER_PATH = "/api/node-configuration";
const NOT_MINE = 404;

export class NodeConfigurations {
  readonly #options: NodeConfigurationsOptions;

  constructor(options: NodeConfigurationsOptions) {
    this.#options = options;
  }

  async answer(pod: string): Promise<Answer> {
    const { isProxy, peers } = this.#options;
    if (!isProxy(pod)) return text(`there is no proxy ${pod}\n`, 404);
    const { proxy, at } = await this.#holder(pod);
    // Where nobody says that it has it, one that was not heard in time still may.
    const count = at === undefined ? peers() : 1;
    const { status, body } = await (proxy === undefined ? this.#fromPeers(pod, count, at) : this.#fromProxy(proxy));
    if (status === 200) return { status, type: "application/json; charset=utf-8", body };
    if (status === 0 || status === NOT_MINE) return text(`proxy ${pod} cannot be reached\n`, 502);
    return text(`proxy ${pod} answered ${status}: ${body}\n`, 500);
  }

  /** For the other replicas: of the proxies that follow this one. */
  peerRoutes(): AdminRoutes {
    return {
      [PEER_PATH]: {
        says: "",
        answer: async (_parameters, { query }) => {
          const own = this.#own(query.get("pod") ?? "");
          if (own === undefined) return text("it follows another\n", NOT_MINE);
          const { status, body } = await this.#fromProxy(own);
          return status === 0 ? text("it cannot be reached\n", 502) : { status, type: "application/json", body };
        },
      },
    };
  }

  async #holder(pod: string): Promise<Holder> {
    const newest = new Map<string, Holder>();
    for (const held of await this.#options.peerStreams()) if (held.pod === pod) keepNewest(newest, pod, held);
    const proxy = this.#own(pod);
    // After the others: ages are compared, and this takes no time.
    if (proxy !== undefined)
      keepNewest(newest, pod, { connectedMs: proxy.connectedMs, standsBy: proxy.standsBy, proxy });
    return newest.get(pod) ?? {};
  }

  #own(pod: string): AskableProxy | undefined {
    const newest = new Map<string, AskableProxy>();
    for (const proxy of this.#options.server.askable()) keepNewest(newest, proxy.pod, proxy);
    return newest.get(pod);
  }

  #fromProxy(proxy: AskableProxy): Promise<Asked> {
    return this.#first(1, ANSWER_MS, (reader) => proxy.ask(CONFIG, reader()));
  }

  async #fromPeers(pod: string, count: number, at?: string): Promise<Asked> {
    const path = `${PEER_PATH}?pod=${encodeURIComponent(pod)}`;
    const asked = await this.#first(count, PEER_ANSWER_MS, (reader) => this.#options.askPeers(path, reader, at));
    return asked.status === 502 ? { status: 0, body: "" } : asked;
  }

  /** The first answer of `count` that is not "not mine"; status 0 where there is none in time. */
  #first(count: number, waitMs: number, ask: (reader: () => AnswerReader) => () => void): Promise<Asked> {
    if (count === 0) return Promise.resolve({ status: 0, body: "" });
    return new Promise((resolve) => {
      let left = count;
      const finish = (asked: Asked) => {
        timer.cancel();
        stop();
        resolve(asked);
      };
      const timer = this.#options.clock.after(waitMs, () => finish({ status: 0, body: "" }));
      const stop = ask(() => {
        const pieces: string[] = [];
        return {
          onText: (piece) => void pieces.push(piece),
          onEnd: (status) => {
            left--;
            const told = status !== 0 && status !== NOT_MINE;
            if (told || left === 0) finish({ status: told ? status : 0, body: pieces.join("") });
          },
        };
      });
    });
  }
}
