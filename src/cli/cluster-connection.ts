import { findAccess } from "../kube/api-access.ts";
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
  let access: Awaited<ReturnType<typeof findAccess>>;
  try {
    access = await findAccess({
      ...(options.kubeconfig === undefined ? {} : { kubeconfig: options.kubeconfig }),
      environment: process.env,
    });
  } catch (error) {
    throw new UsageError(`no cluster to work on: ${(error as Error).message}${otherwise}`);
  }
  return new ApiClient({ access, clock: systemClock, log, userAgent: `tulle/${version}` });
}
