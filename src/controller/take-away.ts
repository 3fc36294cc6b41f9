/**
 * Takes away what a controller made, in an order that leaves no call in the void for longer than it must: the
 * controllers first, or they would put it back; then DNS, so that no name leads to the mesh any more; then what the
 * names led to.
 */
import { holderOf } from "../coredns/dns-holder.ts";
import { planRestore } from "../coredns/dns-patch.ts";
import type { ObservedDns } from "../coredns/dns-provider.ts";
import type { Api } from "../kube/api-client.ts";
import { MERGE_PATCH } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import type { Clock } from "../model/clock.ts";
import { pause } from "../model/pause.ts";
import type { Log } from "../telemetry/log.ts";
import type { DnsMode } from "./dns-change.ts";
import { observeDns, rolloutStatus, unmarkWorkload, writeChanges } from "./dns-objects.ts";
import { amendRecord, recordOf } from "./dns-record.ts";
import { CONTROLLER, DNS_SERVICE, LEASE, SHADOW_OF, SHADOW_SELECTOR } from "./own-objects.ts";

export interface TakeAwayOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly log: Log;
  readonly namespace: string;
  readonly dnsMode: DnsMode;
  readonly meshDomains: readonly string[];
  readonly signal: AbortSignal;
}

const STOP_MS = 45_000;
const ROLLOUT_MS = 45_000;
const LOOK_MS = 500;
const TEST_POD = "tulle-test";

interface Items {
  readonly items?: readonly {
    readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  }[];
}

interface OwnService {
  readonly spec?: { readonly clusterIP?: string; readonly clusterIPs?: readonly string[] };
}

/** @returns what could not be taken away, a sentence each with the remedy */
export async function takeAway(options: TakeAwayOptions): Promise<string[]> {
  const left: string[] = [];
  const steps: readonly (readonly [string, (options: TakeAwayOptions) => Promise<void>])[] = [
    ["the controller was not stopped", stopController],
    ["cluster DNS was not restored", restoreDns],
    ["shadow services were not deleted", deleteShadows],
    ["what the controller kept was not deleted", deleteOwn],
  ];
  for (const [failure, step] of steps) {
    if (options.signal.aborted) return [...left, "it was interrupted: run it again"];
    try {
      await step(options);
    } catch (error) {
      left.push(`${failure}: ${(error as Error).message}; mend that and run cleanup again`);
    }
  }
  return left;
}

async function stopController({ api, clock, log, namespace, signal }: TakeAwayOptions): Promise<void> {
  try {
    await api.request("PATCH", `/apis/apps/v1/namespaces/${namespace}/deployments/${CONTROLLER}/scale`, {
      contentType: MERGE_PATCH,
      body: { spec: { replicas: 0 } },
    });
  } catch (error) {
    if (!isApiError(error, 404)) throw error;
    log.info("there is no controller");
    return;
  }
  const until = clock.now() + STOP_MS;
  const selector = "app.kubernetes.io/part-of=tulle,app.kubernetes.io/component=controller";
  while (!signal.aborted) {
    const { items = [] } = await api.request<Items>("GET", `/api/v1/namespaces/${namespace}/pods`, {
      query: { labelSelector: selector },
    });
    if (items.length === 0) break;
    if (clock.now() > until) throw new Error(`Pod ${namespace}/${items[0]?.metadata.name} does not end`);
    await pause(clock, LOOK_MS, signal);
  }
  log.info("the controller is stopped");
}

async function restoreDns(options: TakeAwayOptions): Promise<void> {
  const { api, clock, log, dnsMode, meshDomains, signal } = options;
  if (dnsMode === "manual") {
    log.info("cluster DNS is left as it is: with dns-mode manual, the block is yours to take out");
    return;
  }
  const observed = await observeDns(api);
  if (!(await isOurs(options, observed))) {
    // What was kept of Traefik Mesh, which has the names again.
    await amendRecord(api, observed, ({ namespace, original }) =>
      namespace === "" && original !== undefined ? { record: null } : undefined,
    );
    return;
  }
  const plan = planRestore(observed, {
    mode: dnsMode,
    meshNamespace: options.namespace,
    clusterDomain: "",
    meshDomains,
    dnsServiceIPs: [],
    longNames: [],
    marks: "own",
  });
  if (plan.faults.length > 0) throw new Error(plan.faults.join(" "));
  await writeChanges(api, plan.changes);
  // Nobody has the mesh domains any more.
  await amendRecord(api, observed, (record) =>
    record.namespace === options.namespace || record.namespace === "" ? { record: null } : undefined,
  );
  const { restart } = plan;
  if (restart === undefined) {
    log.info("cluster DNS is as it was");
    return;
  }
  await unmarkWorkload(api, restart.workload);
  const until = clock.now() + ROLLOUT_MS;
  let done = false;
  while (!done && !signal.aborted && clock.now() < until) {
    done = (await rolloutStatus(api, restart.workload)).done;
    if (!done) await pause(clock, LOOK_MS, signal);
  }
  if (done) log.info("cluster DNS is restored");
  else log.warn("the configuration of cluster DNS is restored, and its Pods are still being replaced");
}

/** Whether the blocks in cluster DNS are this mesh's: by the record, or by whom they lead to. */
async function isOurs({ api, log, namespace, meshDomains }: TakeAwayOptions, observed: ObservedDns): Promise<boolean> {
  const { namespace: owner } = recordOf(observed);
  if (owner === namespace) return true;
  const holder = holderOf(observed, meshDomains);
  if (owner === "" && holder === undefined) {
    log.info("cluster DNS is left as it is: it leads to no mesh");
    return false;
  }
  const own = await findOwnService(api, namespace);
  const { clusterIP = "", clusterIPs = [clusterIP] } = own?.spec ?? {};
  const leadsTo = holder?.namespace ?? holder?.addresses.join(" and ") ?? "";
  if (owner === "" && (leadsTo === namespace || holder?.addresses.some((each) => clusterIPs.includes(each)) === true))
    return true;
  const where = `it leads to ${owner === "" ? leadsTo : `the mesh in namespace ${owner}`}`;
  if (own !== undefined) log.info(`cluster DNS is left as it is: ${where}`);
  else
    log.warn(
      `cluster DNS is left as it is: ${where}, and there is no mesh in namespace ${namespace}. Is that the right namespace? Blocks of a mesh that is gone are yours to delete`,
    );
  return false;
}

async function findOwnService(api: Api, namespace: string): Promise<OwnService | undefined> {
  try {
    return await api.request<OwnService>("GET", `/api/v1/namespaces/${namespace}/services/${DNS_SERVICE}`);
  } catch (error) {
    if (isApiError(error, 404)) return undefined;
    throw error;
  }
}

async function deleteShadows({ api, log, namespace }: TakeAwayOptions): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/services`;
  const { items = [] } = await api.request<Items>("GET", path, { query: { labelSelector: SHADOW_SELECTOR } });
  const shadows = items.filter(({ metadata }) => metadata.annotations?.[SHADOW_OF] !== undefined);
  // A few at a time: there may be thousands.
  const names = shadows.map(({ metadata }) => metadata.name);
  const worker = async () => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) await deleted(api, `${path}/${name}`);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  log.info("shadow services are deleted", { count: shadows.length });
}

async function deleteOwn({ api, namespace }: TakeAwayOptions): Promise<void> {
  await deleted(api, `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${LEASE}`);
  await deleted(api, `/api/v1/namespaces/${namespace}/pods/${TEST_POD}`);
}

async function deleted(api: Api, path: string): Promise<void> {
  try {
    await api.request("DELETE", path);
  } catch (error) {
    if (!isApiError(error, 404)) throw error;
  }
}
