import type { Timeouts } from "../../config/mesh-config.ts";
import type { ServicePortState } from "../router/types.ts";

/** The strictest of what the service ports that a call passes ask for, in milliseconds; 0: none asks. */
export function shortestTimeout(path: readonly ServicePortState[], which: keyof Timeouts): number {
  let shortest = 0;
  for (let index = 0; index < path.length; index++) {
    const ms = path[index]?.config.timeouts?.[which] ?? 0;
    if (ms > 0 && (shortest === 0 || ms < shortest)) shortest = ms;
  }
  return shortest;
}
