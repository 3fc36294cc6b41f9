/** What a Service asks for by Tulle's own annotations, and Traefik has nothing for. */
import type { ServicePort } from "../config/mesh-config.ts";

/** A field of the Service, and what stands in it is for. */
export interface Ignored {
  readonly field: string;
  readonly says: string;
}

export function ignoredSettings(servicePort: ServicePort): Ignored[] {
  const { trafficType, middlewares, timeouts = {}, limits, balancing = {} } = servicePort;
  const ignored: Ignored[] = [];
  const add = (isSet: boolean, annotation: string, says: string) => {
    if (isSet) ignored.push({ field: `metadata.annotations["tulle.dev/${annotation}"]`, says });
  };
  add(timeouts.requestMs !== undefined, "request-timeout", "Traefik has no time-out of a whole request");
  add(timeouts.idleMs !== undefined, "idle-timeout", "Traefik ends no call because it is idle");
  add(limits !== undefined, "max-connections", "Traefik has no limit of connections to endpoints");
  add(limits?.maxPending !== undefined, "max-pending", "Traefik lets no call wait for a connection");
  const { on, statuses, budgetPercent } = middlewares.retry ?? {};
  const beyondConnecting = (statuses ?? []).length > 0 || on?.some((failure) => failure !== "connectFailure") === true;
  add(beyondConnecting, "retry-on", "Traefik tries again only where no connection could be made");
  add(budgetPercent !== undefined, "retry-budget", "Traefik has no budget of retries");
  const { algorithm, slowStartMs, ejection, prefer } = balancing;
  const flowsOtherwise = trafficType !== "http" && algorithm !== undefined && algorithm !== "roundRobin";
  add(flowsOtherwise, "load-balancing", `Traefik balances ${trafficType} by round robin`);
  add(slowStartMs !== undefined, "slow-start", "Traefik has no slow start");
  // Never to leave an endpoint out is what Traefik does.
  add((ejection?.failures ?? 0) > 0, "ejection", "Traefik leaves no endpoint out for its failures");
  add(ejection?.ceilingPercent !== undefined, "ejection-ceiling", "Traefik leaves no endpoint out for its failures");
  if (prefer !== undefined)
    ignored.push({ field: "spec.trafficDistribution", says: "Traefik calls endpoints wherever they are" });
  return ignored;
}
