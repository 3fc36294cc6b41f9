import { isIPv4, isIPv6 } from "node:net";
import { EMPTY, type Found, NameTable, NONE, type Zone } from "../dns/zone.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import { type EndpointSlice, keyOf, type Service } from "../model/objects.ts";

const DOMAIN = "cluster.local";
const REVERSE = "127.in-addr.arpa";
/** The name of a StatefulSet's Pod; other Pods have no name of their own behind a Service. */
const ORDINAL_NAME = /-\d+$/;

/**
 * The names of Kubernetes' own DNS specification: `service.namespace.svc.cluster.local` is the cluster address, all
 * ready endpoints of a headless Service (none ready: no such name), or the alias of an ExternalName; a StatefulSet's Pod
 * has its name below its headless Service; `127-1-0-4.namespace.pod.cluster.local` is that Pod. Addresses of Services
 * have their names in turn, and all others of 127.0.0.0/8 are known to have none, so that programs that look up their
 * callers do not wait.
 */
export class ClusterZone implements Zone {
  readonly origins: readonly string[] = [DOMAIN, REVERSE];
  #table = new NameTable();

  /** Rebuilds the names from all objects. */
  update(state: ClusterStateView): void {
    const table = new NameTable();
    for (const origin of [`svc.${DOMAIN}`, `pod.${DOMAIN}`, REVERSE]) table.add(origin, EMPTY);
    for (const { meta } of state.list("Namespace")) table.add(`${meta.name}.svc.${DOMAIN}`, EMPTY);
    const headless = new Map<string, Service>();
    for (const service of state.list("Service")) {
      if (service.headless) headless.set(keyOf(service.meta), service);
      else addService(table, service);
    }
    const endpoints = new Map<string, string[]>();
    for (const slice of state.list("EndpointSlice")) {
      const key = keyOf({ namespace: slice.meta.namespace, name: slice.service });
      const service = headless.get(key);
      if (service === undefined) continue;
      const addresses = endpoints.get(key) ?? [];
      endpoints.set(key, addresses);
      addresses.push(...addEndpoints(table, service, slice));
    }
    for (const [key, addresses] of endpoints)
      if (addresses.length > 0)
        table.add(nameOf(headless.get(key) as Service), {
          kind: "addresses",
          addresses: [...new Set(addresses)].sort(),
        });
    for (const { meta, ips } of state.list("Pod"))
      for (const ip of ips)
        table.add(`${ip.replace(/[.:]/g, "-")}.${meta.namespace}.pod.${DOMAIN}`, {
          kind: "addresses",
          addresses: [ip],
        });
    this.#table = table;
  }

  find(name: string): Found {
    if (this.origins.includes(name)) return EMPTY;
    return this.origins.some((origin) => name.endsWith(`.${origin}`)) ? this.#table.find(name) : NONE;
  }
}

function addService(table: NameTable, service: Service): void {
  const name = nameOf(service);
  if (service.type === "ExternalName") {
    const target = service.externalName?.replace(/\.$/, "") ?? "";
    table.add(name, isName(target) ? { kind: "alias", target } : EMPTY);
    return;
  }
  const addresses = service.clusterIPs.filter(isAddress);
  table.add(name, addresses.length === 0 ? EMPTY : { kind: "addresses", addresses });
  for (const address of addresses)
    if (isIPv4(address) && address.startsWith("127."))
      table.add(`${address.split(".").reverse().join(".")}.in-addr.arpa`, { kind: "pointer", target: name });
}

/** @returns the addresses under the Service's own name */
function addEndpoints(table: NameTable, service: Service, slice: EndpointSlice): string[] {
  const all: string[] = [];
  // The addresses of a slice of names are none.
  if (slice.addressType === "FQDN") return all;
  for (const { addresses, ready, pod } of slice.endpoints) {
    if (!ready && !service.publishNotReadyAddresses) continue;
    const known = addresses.filter(isAddress);
    all.push(...known);
    if (pod !== undefined && ORDINAL_NAME.test(pod.name) && known.length > 0)
      table.add(`${pod.name}.${nameOf(service)}`, { kind: "addresses", addresses: known });
  }
  return all;
}

function nameOf({ meta }: Service): string {
  return `${meta.name}.${meta.namespace}.svc.${DOMAIN}`;
}

const isAddress = (text: string): boolean => isIPv4(text) || isIPv6(text);

const isName = (text: string): boolean =>
  text.length <= 253 && text.split(".").every((label) => /^[\w-]{1,63}$/.test(label));
