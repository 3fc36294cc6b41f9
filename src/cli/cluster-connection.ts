import { type ApiAccess, findAccess } from "../kube/api-access.ts";
import { ApiClient } from "../kube/api-client.ts";
import { systemClock } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { UsageError } from "./usage-error.ts";

export interface ClusterOptions {
  readonly kubeconfig?: string;
}

/**
 * @param otherwise what else the user may have meant, as the end of a sentence
 * @throws UsageError where no cluster is named
 */
export async function connect(options: ClusterOptions, version: string, log: Log, otherwise = ""): Promise<ApiClient> {
  return clientOf(await accessOf(options, otherwise), version, log);
}

/** Where the cluster is, and as whom we speak to it. As `connect` otherwise. */
export async function accessOf({ kubeconfig }: ClusterOptions, otherwise = ""): Promise<ApiAccess> {
  try {
    return await findAccess({ ...(kubeconfig === undefined ? {} : { kubeconfig }), environment: process.env });
  } catch (error) {
    throw new UsageError(`no cluster to work on: ${(error as Error).message}${otherwise}`);
  }
}

export function clientOf(access: ApiAccess, version: string, log: Log): ApiClient {
  return new ApiClient({ access, clock: systemClock, log, userAgent: `tulle/${version}` });
}
