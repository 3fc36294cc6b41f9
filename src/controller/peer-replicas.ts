/** The other replicas of this controller: each proxy follows one, so that one alone knows half of the proxies. */
import { z } from "zod";
import { getJson } from "../admin/get-json.ts";
import type { AnswerReader } from "../config-stream/ask-channel.ts";
import { askPeer } from "../config-stream/ask-peer.ts";
import type { Clock } from "../model/clock.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { Pod } from "../model/objects.ts";
import type { Log } from "../telemetry/log.ts";
import { CONTROLLER } from "./own-objects.ts";
import { ownPods } from "./own-pods.ts";

export interface PeerReplicasOptions {
  readonly state: ClusterStateView;
  readonly clock: Clock;
  readonly log: Log;
  readonly namespace: string;
  /** This replica's. */
  readonly podName: string;
  /** Authority of the config stream's certificate, and this replica's own token for it. */
  peerCredentials(): Promise<{ readonly ca: string; readonly token: string }>;
  /** Where this replica listens, and the others as well. */
  ports(): { readonly admin: number; readonly config: number };
}

/** What a replica says of a proxy's connection to it. Replicas of older versions do not say all of it. */
export const PeerStreamSchema = z.object({
  pod: z.string(),
  version: z.string(),
  error: z.string(),
  closedEntrypoints: z.array(z.string()).readonly(),
  lagMs: z.number(),
  connectedMs: z.number().exactOptional(),
  standsBy: z.boolean().exactOptional(),
});
const PeerStreamsSchema = z.array(PeerStreamSchema);
type PeerStream = z.infer<typeof PeerStreamSchema>;

/** With the address of the replica that says so. */
export interface FarStream extends PeerStream {
  readonly at: string;
}

const TIMEOUT_MS = 1_000;

export class PeerReplicas {
  readonly #options: PeerReplicasOptions;

  constructor(options: PeerReplicasOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#pods().length;
  }

  /**
   * Over the config stream's port, each with a reader of its own.
   * @param at address of the one that is asked; absent: all
   * @returns ends it
   */
  ask(path: string, reader: () => AnswerReader, at?: string): () => void {
    const { clock, namespace, peerCredentials } = this.#options;
    let over = false;
    const stops: (() => void)[] = [];
    const serverName = `${CONTROLLER}.${namespace}.svc`;
    const hosts = at === undefined ? this.#pods().map(({ ips }) => ips[0]) : [at];
    const readers = hosts.map((host) => ({ host, reader: reader() }));
    const ask = ({ ca, token }: { readonly ca: string; readonly token: string }) => {
      if (over) return;
      for (const { host, reader } of readers) {
        const place = { host: host ?? "", port: this.#options.ports().config, serverName, ca, token };
        if (host === undefined) reader.onEnd(0);
        else stops.push(askPeer(place, clock, path, reader));
      }
    };
    const unable = (error: Error) => {
      this.#options.log.warn("other replicas cannot be asked", { error: error.message });
      if (!over) for (const { reader } of readers) reader.onEnd(0);
    };
    if (readers.length > 0) peerCredentials().then(ask, unable);
    return () => {
      over = true;
      for (const stop of stops) stop();
    };
  }

  /** Of the proxies that follow the others. */
  async streams(): Promise<FarStream[]> {
    const asked = await Promise.all(this.#pods().map((peer) => this.#streamsOf(peer)));
    return asked.flat();
  }

  /** A replica that does not answer, or not in this form, has nothing to say of proxies either. */
  async #streamsOf({ ips }: Pod): Promise<readonly FarStream[]> {
    const [host] = ips;
    if (host === undefined) return [];
    try {
      const place = { host, port: this.#options.ports().admin, path: "/api/status/streams" };
      const told = PeerStreamsSchema.parse(await getJson(place, AbortSignal.timeout(TIMEOUT_MS)));
      return told.map((stream) => ({ ...stream, at: host }));
    } catch (error) {
      const reason = (error as Error).message;
      this.#options.log.debug("another replica does not say which proxies follow it", { host, reason });
      return [];
    }
  }

  #pods(): Pod[] {
    const { state, namespace, podName } = this.#options;
    // One that was evicted keeps its address, and answers nobody.
    return ownPods(state, namespace, "controller").filter(
      ({ meta, phase }) => meta.name !== podName && phase === "Running",
    );
  }
}
