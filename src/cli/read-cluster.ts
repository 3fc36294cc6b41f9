import type { ApiClient } from "../kube/api-client.ts";
import { KubeSource } from "../kube/kube-source.ts";
import { systemClock } from "../model/clock.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import type { Problem } from "../model/problems.ts";
import type { Log } from "../telemetry/log.ts";

const READ_MS = 20_000;

/** All that the mesh reads of a cluster, once. @throws Error saying what could not be read */
export async function readCluster(
  api: ApiClient,
  log: Log,
): Promise<{ readonly state: ClusterStateView; readonly problems: readonly Problem[] }> {
  const controller = new AbortController();
  let complete = () => {};
  const read = new Promise<void>((resolve) => {
    complete = resolve;
  });
  const source = new KubeSource({
    api,
    clock: systemClock,
    random: Math.random,
    log,
    signal: controller.signal,
    onChange: () => complete(),
  });
  const running = source.run();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const [first = "the API server did not answer in time"] = source.troubles;
      reject(new Error(`the cluster's objects could not be read: ${first}`));
    }, READ_MS);
  });
  try {
    await Promise.race([read, late]);
    return { state: source.state, problems: source.problems };
  } finally {
    clearTimeout(timer);
    controller.abort();
    await running;
  }
}
