/** OpenShift's DNS operator owns the Corefile; what it takes from users are servers that forward. */
import { zoneOf } from "./corefile.ts";
import { addressesOf, type ObjectChange, type PatchOptions, type PlanPart, withoutAddress } from "./dns-plan.ts";
import type { DnsOperatorJson, DnsServerJson, OpenShiftProvider } from "./dns-provider.ts";

/** The operator takes RFC 6335 names: 15 characters at most. */
const SERVER = "tulle-mesh";

export function patchOpenShift(
  provider: OpenShiftProvider,
  operator: DnsOperatorJson | undefined,
  options: PatchOptions,
): PlanPart {
  const before = operator?.spec?.servers ?? [];
  const zones = options.meshDomains.toSorted();
  const ours = before.find(({ name }) => name === SERVER);
  const wanted: DnsServerJson = {
    ...ours,
    name: SERVER,
    zones,
    forwardPlugin: { ...ours?.forwardPlugin, upstreams: addressesOf(options) },
  };
  const servers =
    ours === undefined ? [...before, wanted] : before.map((server) => (server === ours ? wanted : server));
  return {
    changes: ours !== undefined && sameServer(ours, wanted) ? [] : [change(provider, operator, servers)],
    warnings:
      options.mode === "rewrite"
        ? [
            "OpenShift's DNS operator cannot rewrite names: the mesh domains go to Tulle's DNS Service, as in mode forward.",
          ]
        : [],
    faults: [...withoutAddress(options, true), ...before.flatMap((server) => foreignFaults(provider, server, zones))],
    byHand: byHand(provider, servers),
  };
}

export function restoreOpenShift(provider: OpenShiftProvider, operator: DnsOperatorJson | undefined): PlanPart {
  const before = operator?.spec?.servers ?? [];
  const left = before.filter(({ name }) => name !== SERVER);
  return {
    changes: left.length === before.length ? [] : [change(provider, operator, left.length > 0 ? left : null)],
    warnings: [],
    faults: [],
    byHand: byHand(provider, left.length > 0 ? left : null),
  };
}

function sameServer(a: DnsServerJson, b: DnsServerJson): boolean {
  const essence = ({ zones, forwardPlugin }: DnsServerJson) => JSON.stringify([zones, forwardPlugin?.upstreams]);
  return essence(a) === essence(b);
}

function foreignFaults(provider: OpenShiftProvider, server: DnsServerJson, zones: readonly string[]): string[] {
  if (server.name === SERVER) return [];
  return zones
    .filter((domain) => server.zones?.some((zone) => zoneOf(zone)?.zone === domain))
    .map(
      (domain) =>
        `dns.operator/${provider.name}: the server "${server.name}" serves ${domain} already. Delete that zone from it, or take ${domain} out of the mesh domains.`,
    );
}

/** A merge patch replaces a list as a whole, so the servers of others are in it. */
function change(
  { name }: OpenShiftProvider,
  operator: DnsOperatorJson | undefined,
  servers: readonly DnsServerJson[] | null,
): ObjectChange {
  const resourceVersion = operator?.metadata?.resourceVersion;
  return {
    action: "update",
    object: { apiVersion: "operator.openshift.io/v1", kind: "DNS", name },
    ...(resourceVersion !== undefined && { resourceVersion }),
    mergePatch: { spec: { servers } },
  };
}

function byHand({ name }: OpenShiftProvider, servers: readonly DnsServerJson[] | null): string {
  return `Run:\n\noc patch dns.operator/${name} --type=merge -p '${JSON.stringify({ spec: { servers } })}'\n`;
}
