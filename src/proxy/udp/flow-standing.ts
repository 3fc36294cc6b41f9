import type { Decision, RouteTable, ServicePortState } from "../router/types.ts";
import type { UdpFlow } from "./udp-flow.ts";

/**
 * Whether the configuration in force would still let the flow's caller reach the flow's endpoint. A flow that it would
 * now send elsewhere by the turn of a split stays where it is, as long as that is one of the ways.
 * @param decision overwritten
 */
export function stillStands(flow: UdpFlow, table: RouteTable, decision: Decision): boolean {
  const { entry, endpoint, path } = flow;
  if (entry.config.trafficType !== "udp" || !leadsOn(path)) return false;
  flow.caller = table.caller(flow.caller.address);
  table.routeFlow(entry, flow.caller, decision);
  // That another backend has no endpoint is no matter.
  if (decision.failure !== "" && decision.failure !== "NoEndpoint") return false;
  const served = path.at(-1) as ServicePortState;
  if (decision.path.at(-1) !== served) table.routeFlow(served, flow.caller, decision);
  return decision.path.at(-1) === served && decision.endpoints.includes(endpoint);
}

/** Whether each service port of the path may still hand over to the next, and the last serves by itself. */
function leadsOn(path: readonly ServicePortState[]): boolean {
  return path.every((at, index) => {
    const next = path[index + 1] ?? (index === 0 ? at : undefined);
    if (at.removed) return false;
    const { routes = [] } = at.config;
    if (next === undefined || (next === at && routes.length === 0)) return true;
    return routes.some(({ backends }) => backends.some((each) => each.servicePort === next.key && each.weight > 0));
  });
}
