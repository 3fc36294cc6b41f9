/** What the routes of a decision change about a request: filters of the routes passed, then of the backends chosen. */
import type { Filter, HeaderChange, ServicePort } from "../../config/mesh-config.ts";
import { locationOf } from "../middleware/redirect/redirect.ts";
import { changePath, targetOf } from "../middleware/rewrite/rewrite.ts";
import type { Decision, RequestView } from "../router/types.ts";

export interface RoutePlan {
  /** Where the caller is sent, or "" where it is not. */
  location: string;
  /** Status of the redirect. */
  status: number;
  /** New request target and host; undefined: as they came. */
  target: string | undefined;
  host: string | undefined;
  requestChanges: HeaderChange[];
  answerChanges: HeaderChange[];
  /** For the whole exchange; 0: no bound. */
  timeoutMs: number;
}

/** @param entry the service port that was called */
export function planRoute(decision: Decision, view: RequestView, entry: ServicePort): RoutePlan {
  const plan: RoutePlan = {
    location: "",
    status: 0,
    target: undefined,
    host: undefined,
    requestChanges: [],
    answerChanges: [],
    timeoutMs: 0,
  };
  let { path } = view;
  for (let index = 0; index < decision.routes.length; index++) {
    const { filters, requestTimeoutMs = 0 } = decision.routes[index] as Decision["routes"][number];
    if (requestTimeoutMs > 0)
      plan.timeoutMs = plan.timeoutMs === 0 ? requestTimeoutMs : Math.min(plan.timeoutMs, requestTimeoutMs);
    const prefix = decision.prefixes[index] ?? "";
    if (filters !== undefined) path = applyFilters(plan, filters, view, path, prefix, entry);
    const chosen = decision.backends[index]?.filters;
    if (chosen !== undefined) path = applyFilters(plan, chosen, view, path, prefix, entry);
  }
  if (path !== view.path) plan.target = targetOf(path, view.query);
  return plan;
}

/** @returns the path as the filters leave it */
function applyFilters(
  plan: RoutePlan,
  filters: readonly Filter[],
  view: RequestView,
  path: string,
  prefix: string,
  entry: ServicePort,
): string {
  let changed = path;
  for (const filter of filters) {
    switch (filter.type) {
      case "requestHeaders":
        plan.requestChanges.push(filter);
        break;
      case "responseHeaders":
        plan.answerChanges.push(filter);
        break;
      case "rewrite":
        if (filter.host !== undefined) plan.host = filter.host;
        changed = changePath(filter.path, changed, prefix);
        break;
      case "redirect": {
        const host = view.header("host") || `${entry.service}.${entry.namespace}`;
        const { port } = entry;
        const target = changePath(filter.path, changed, prefix);
        plan.location = locationOf(filter, { scheme: "http", host, port, path: target, query: view.query });
        plan.status = filter.status;
      }
    }
  }
  return changed;
}
