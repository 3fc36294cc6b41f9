/** The cluster's domain (`cluster.local` in most) is a flag of every kubelet and stands in no object of the API. */
import { parseCorefile, zoneOf } from "./corefile.ts";

/** From the first `kubernetes` plugin; undefined where there is none, or an environment variable says it. */
export function clusterDomainOfCorefile(text: string): string | undefined {
  for (const { keys, plugins, snippet } of parseCorefile(text).blocks)
    for (const { name, args } of plugins)
      if (name === "kubernetes") {
        // Without zones of its own the plugin has those of its server block.
        const zones = args.length > 0 || snippet !== undefined ? args : keys;
        const domain = zones.map((zone) => zoneOf(zone)?.zone).find(isDomain);
        if (domain !== undefined) return domain;
      }
  return undefined;
}

/**
 * From a Pod's /etc/resolv.conf, whose search list the kubelet begins with `NAMESPACE.svc.DOMAIN svc.DOMAIN DOMAIN`.
 * Undefined for a Pod with a dnsPolicy that has no such list.
 */
export function clusterDomainOfResolvConf(text: string): string | undefined {
  const lines = text.split("\n").map((line) => line.trim().split(/\s+/));
  // resolv.conf(5): the last search line counts.
  const search = lines.findLast(([keyword]) => keyword === "search") ?? [];
  const names = search.slice(1).map((name) => name.toLowerCase().replace(/\.$/, ""));
  return names
    .map((name) => /^[a-z0-9-]+\.svc\.(.+)$/.exec(name)?.[1])
    .find((domain) => domain !== undefined && (names.includes(`svc.${domain}`) || names.includes(domain)));
}

function isDomain(zone: string | undefined): zone is string {
  return zone !== undefined && zone !== "." && !zone.includes("/") && !/(?:^|\.)(?:in-addr|ip6)\.arpa$/.test(zone);
}
