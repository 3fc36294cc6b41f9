/**
 * SMI's TrafficMetrics of the mesh for the API server. Whom to believe that it is the API server, the cluster says in a
 * ConfigMap, which is read again and again: authorities are renewed.
 */
import type { Api } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import type { Clock } from "../model/clock.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import { pause } from "../model/pause.ts";
import type { MetricKind } from "../smi-metrics/metric-kinds.ts";
import { MetricsApi, type MetricsApiOptions } from "../smi-metrics/metrics-api.ts";
import { type FrontProxyTrust, MetricsServer } from "../smi-metrics/metrics-server.ts";
import type { Log } from "../telemetry/log.ts";

export interface MetricsPublisherOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly state: ClusterStateView;
  /** PEM; the config stream's, whose names are those of the controllers' Service. */
  readonly certificate: { readonly cert: string; readonly key: string };
  readonly recentTraffic: MetricsApiOptions["recentTraffic"];
}

const TRUST = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
const LOOK_MS = 60_000;
const HURRY_MS = 5_000;
/** Names and labels without the rest of the objects. */
const METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

interface MetadataList {
  readonly items?: readonly { readonly metadata: { readonly namespace?: string; readonly name: string } }[];
}

export class MetricsPublisher {
  readonly #options: MetricsPublisherOptions;
  readonly #server: MetricsServer;
  #run: Promise<void> = Promise.resolve();
  /** Why nobody can be trusted, as it was said last; empty while somebody is. */
  #said = "";

  constructor(options: MetricsPublisherOptions) {
    const { api, clock, log, state, certificate, recentTraffic } = options;
    this.#options = options;
    const select = (kind: MetricKind, namespace: string, labelSelector: string) =>
      selectObjects(api, kind, namespace, labelSelector);
    const metrics = new MetricsApi({ clock, state, recentTraffic, select });
    this.#server = new MetricsServer({ ...certificate, api: metrics, log });
  }

  /** @returns the port. */
  async start(address: string, port: number): Promise<number> {
    const bound = await this.#server.listen(address, port);
    this.#run = this.#keepTrust();
    return bound;
  }

  setCertificate(cert: string, key: string): void {
    this.#server.setCertificate(cert, key);
  }

  /** After the signal has aborted. */
  async close(): Promise<void> {
    await this.#run;
    await this.#server.close();
  }

  async #keepTrust(): Promise<void> {
    const { clock, signal } = this.#options;
    while (!signal.aborted) {
      await this.#readTrust();
      await pause(clock, this.#said === "" ? LOOK_MS : HURRY_MS, signal);
    }
  }

  async #readTrust(): Promise<void> {
    const { api, signal } = this.#options;
    try {
      const { data } = await api.request<{ data?: Readonly<Record<string, string>> }>("GET", TRUST, { signal });
      const trust = trustIn(data ?? {});
      this.#server.setTrust(trust);
      this.#say(
        trust === undefined ? "the ConfigMap names no front proxy: the API server has no aggregation layer" : "",
      );
    } catch (error) {
      // While the API server is away, what it said before holds; it is the only one who would ask.
      if (isApiError(error, 404)) this.#server.setTrust(undefined);
      if (!signal.aborted) this.#say((error as Error).message);
    }
  }

  #say(why: string): void {
    if (why !== "" && why !== this.#said)
      this.#options.log.warn("TrafficMetrics cannot be served to the API server", { error: why, configMap: TRUST });
    if (why === "" && this.#said !== "") this.#options.log.info("TrafficMetrics can be served to the API server");
    this.#said = why;
  }
}

/** @returns undefined where nobody is named, or not in a way that is understood */
function trustIn(data: Readonly<Record<string, string>>): FrontProxyTrust | undefined {
  const ca = data["requestheader-client-ca-file"] ?? "";
  const names = namesIn(data["requestheader-allowed-names"] ?? "[]");
  return ca === "" || names === undefined ? undefined : { ca, names };
}

function namesIn(text: string): string[] | undefined {
  try {
    const names: unknown = JSON.parse(text);
    return Array.isArray(names) && names.every((name) => typeof name === "string") ? names : undefined;
  } catch {
    return undefined;
  }
}

/** By the API server, which has the labels and knows the language of selectors. */
async function selectObjects(
  api: Api,
  { api: root, plural }: MetricKind,
  namespace: string,
  labelSelector: string,
): Promise<ReadonlySet<string> | string> {
  const scope = namespace === "" ? "" : `/namespaces/${namespace}`;
  try {
    const list = await api.request<MetadataList>("GET", `${root}${scope}/${plural}`, {
      query: { labelSelector },
      accept: METADATA_ONLY,
    });
    return new Set((list.items ?? []).map(({ metadata }) => `${metadata.namespace ?? ""}/${metadata.name}`));
  } catch (error) {
    if (isApiError(error, 400)) return (error as Error).message;
    throw error;
  }
}
