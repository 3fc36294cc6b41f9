/** The Pods of a label that run now, as they come and go. */
import type { Clock, Random } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { Api } from "./api-client.ts";
import { type RawObject, Reflector } from "./reflector.ts";

export interface FollowPodsOptions {
  readonly api: Api;
  readonly namespace: string;
  readonly labelSelector: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** With the names of all that run, once they are known and at each change. */
  onChange(pods: ReadonlySet<string>): void;
}

interface RawPod extends RawObject {
  readonly metadata: RawObject["metadata"] & { readonly deletionTimestamp?: string };
  readonly status?: { readonly phase?: string };
}

/** Runs until the signal aborts. @throws ApiError where they may not be listed at all */
export async function followPods(options: FollowPodsOptions): Promise<void> {
  const { api, namespace, labelSelector, clock, random, log, signal, onChange } = options;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
  // What will never be allowed is said at once, where a reflector goes on trying.
  const first = await api.request<{ readonly items?: readonly unknown[] }>("GET", path, {
    query: { labelSelector, limit: 1 },
    signal,
  });
  const running = new Set<string>();
  if (first.items?.length === 0) onChange(running);
  const reflector = new Reflector({
    api,
    resource: { path, apiVersion: "v1", kind: "Pod", labelSelector },
    clock,
    random,
    log,
    signal,
    onChange: ({ put, remove }) => {
      for (const { name } of remove) running.delete(name);
      for (const pod of put) {
        if (isRunning(pod as RawPod)) running.add(pod.metadata.name);
        else running.delete(pod.metadata.name);
      }
      onChange(running);
    },
  });
  await reflector.run();
}

function isRunning({ metadata, status }: RawPod): boolean {
  return status?.phase === "Running" && metadata.deletionTimestamp === undefined;
}
