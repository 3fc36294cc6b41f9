/** For people: why access is as it is. Not on the way of any call. */
import type { Origin } from "../../config/mesh-config.ts";
import { type AccessRules, type CompiledRule, fitsPort } from "./access-rules.ts";
import type { Call } from "./call.ts";
import type { Misfit } from "./http-matcher.ts";
import type { ServicePortEntry } from "./service-port-entry.ts";

/** One rule on one group of endpoints, and why it does not allow the call. */
export interface AccessFinding {
  /** What the rule is made from. */
  readonly rule: Origin;
  /** The group: whose pods, on which port of theirs. */
  readonly destination: string;
  readonly podPort: number;
  /**
   * "": it allows the call. `source`: the caller is none of its sources. `protocol`: it opens none of this protocol.
   * `port`: it opens other ports of the pod. `match`: no match of it fits; see `matches`.
   */
  readonly obstacle: "" | "source" | "protocol" | "port" | "match";
  /** Each match of the rule with what does not fit; empty where the rule was not looked at that far. */
  readonly matches: readonly { readonly name: string | undefined; readonly misfit: Misfit }[];
}

export interface AccessDescription {
  /** Endpoints without an identity, which no rule opens. */
  readonly endpointsWithoutIdentity: readonly string[];
  /** Rules on the service port's endpoints, by pod port, identity and rule key; empty: none is on them at all. */
  readonly findings: readonly AccessFinding[];
}

export function describeAccess(entry: ServicePortEntry, rules: AccessRules, call: Call): AccessDescription {
  const nobodys: string[] = [];
  const findings: AccessFinding[] = [];
  for (const { identity, port, endpoints } of entry.groups()) {
    if (identity === undefined) nobodys.push(...endpoints.map(({ key }) => key));
    else for (const rule of rules.opening(identity)) findings.push(judge(rule, port, entry, call));
  }
  return { endpointsWithoutIdentity: nobodys, findings };
}

function judge(rule: CompiledRule, podPort: number, entry: ServicePortEntry, call: Call): AccessFinding {
  const { source, origin } = rule;
  const found = { rule: origin, destination: source.destination, podPort, matches: [] };
  const flowSection = entry.config.trafficType === "udp" ? source.udp : source.tcp;
  const section = call.isFlow ? flowSection : source.http;
  if (call.caller.identity === undefined || !rule.sources.has(call.caller.identity))
    return { ...found, obstacle: "source" };
  if (section === undefined) return { ...found, obstacle: "protocol" };
  if (!fitsPort(section.ports, podPort)) return { ...found, obstacle: "port" };
  if (call.isFlow || rule.matchers.length === 0) return { ...found, obstacle: "" };
  const matches = rule.matchers.map((matcher) => ({
    name: matcher.source.name,
    misfit: matcher.misfit(call),
  }));
  return { ...found, matches, obstacle: matches.some(({ misfit }) => misfit === "") ? "" : "match" };
}
