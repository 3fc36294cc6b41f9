/** `/api/status/nodes` and `/api/status/node/{pod}/configuration`: the proxies, and what each has in force. */
import { z } from "zod";
import { type Answer, compactJson } from "../admin/admin-server.ts";
import { MeshConfigSchema } from "../config/mesh-config.ts";
import type { ConfigServer } from "../config-stream/config-server.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { Pod } from "../model/objects.ts";
import { placedNumbers } from "../traefik/entrypoint-numbers.ts";
import { nodeData } from "../traefik/node-data.ts";
import { keepNewest } from "./newest-of-pod.ts";
import type { NodeConfigurations } from "./node-configurations.ts";
import { ownPods } from "./own-pods.ts";
import type { FarStream, PeerReplicas } from "./peer-replicas.ts";
import type { ProxyReadiness } from "./take-over-readiness.ts";
import type { TraefikEngine } from "./traefik-engine.ts";

export interface ProxyNodesOptions {
  readonly state: ClusterStateView;
  readonly namespace: string;
  readonly server: Pick<ConfigServer, "status">;
  readonly peers: Pick<PeerReplicas, "streams">;
  readonly nodeConfigurations: Pick<NodeConfigurations, "answer">;
  /** Absent: the proxies are Tulle's own. */
  readonly traefik: TraefikEngine | undefined;
  /** Of the configuration that this replica serves. */
  version(): string | undefined;
}

/** As a proxy tells its own. */
const MESH_CONFIG = z.object({ version: z.string(), config: MeshConfigSchema });

/** Of a proxy, beside what its Pod says. */
type InForce = Omit<ProxyReadiness, "Name" | "node" | "Ready">;

export class ProxyNodes {
  readonly #options: ProxyNodesOptions;

  constructor(options: ProxyNodesOptions) {
    this.#options = options;
  }

  async readiness(): Promise<ProxyReadiness[]> {
    const pods = this.#pods();
    const standings = await (this.#options.traefik?.standing(pods) ?? this.#inForce(pods));
    return pods.map(({ meta, ips, nodeName = "", ready }, index) => {
      const about = { Name: meta.name, IP: ips[0] ?? "", Ready: ready, node: nodeName };
      return { ...about, ...(standings[index] as InForce) };
    });
  }

  async configuration(pod: string): Promise<Answer> {
    const { state, traefik, nodeConfigurations } = this.#options;
    const found = this.#pods().find(({ meta }) => meta.name === pod);
    const ofTraefik = traefik?.configurationOf(found);
    if (ofTraefik !== undefined) return ofTraefik;
    const answer = await nodeConfigurations.answer(pod);
    const told = answer.status === 200 ? MESH_CONFIG.safeParse(JSON.parse(answer.body)) : undefined;
    // A proxy of another version of Tulle, in the middle of an upgrade, may say more than this one understands.
    if (told?.success !== true) return answer;
    const service = (key: string) => state.get("Service", key);
    return compactJson(nodeData(told.data, service, placedNumbers(told.data.config, service)));
  }

  /** Each proxy follows one replica; the others are asked for theirs. Of two of one name one is told of (`keepNewest`). */
  async #inForce(pods: readonly Pod[]): Promise<InForce[]> {
    const { server, peers } = this.#options;
    const streams = new Map<string, Omit<FarStream, "at">>();
    const ofPeers = await peers.streams();
    // After the others: ages are compared, and this takes no time.
    for (const status of [...ofPeers, ...server.status()]) keepNewest(streams, status.pod, status);
    const version = this.#options.version();
    return pods.map(({ meta }) => {
      const stream = streams.get(meta.name);
      return {
        connected: stream !== undefined,
        version: stream?.version ?? "",
        programmed: stream !== undefined && stream.version === version,
        ...(stream === undefined
          ? {}
          : { lagMs: Math.round(stream.lagMs), error: stream.error, closedEntrypoints: stream.closedEntrypoints }),
      };
    });
  }

  #pods(): Pod[] {
    return ownPods(this.#options.state, this.#options.namespace, "proxy");
  }
}
