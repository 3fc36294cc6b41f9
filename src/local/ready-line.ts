/** What `tulle local --json` prints when it is ready: where everything is, for programs. */
import type { MeshConfig } from "../config/mesh-config.ts";
import { keyOf, type Pod } from "../model/objects.ts";

export interface ReadyLine {
  readonly ready: true;
  readonly dns: string;
  readonly socks: string;
  readonly admin: string;
  readonly pods: readonly ReadyPod[];
  readonly services: readonly ReadyService[];
}

export interface ReadyPod {
  readonly namespace: string;
  readonly name: string;
  readonly ip: string;
  readonly serviceAccount: string;
}

export interface ReadyPort {
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
  readonly trafficType: "http" | "tcp" | "udp";
  /** Where the mesh name's port really listens; only where that is another. */
  readonly boundPort?: number;
}

export interface ReadyService {
  readonly namespace: string;
  readonly name: string;
  readonly clusterIP: string;
  readonly meshIP: string;
  readonly ports: readonly ReadyPort[];
  readonly hosts: readonly string[];
}

/** Those that have an address, in the order of their names. */
export function readyPods(pods: readonly Pod[]): ReadyPod[] {
  return pods
    .filter((pod) => pod.ips.length > 0)
    .map(({ meta, ips, serviceAccount }) => ({
      namespace: meta.namespace,
      name: meta.name,
      ip: ips[0] as string,
      serviceAccount,
    }))
    .sort((a, b) => compare(keyOf(a), keyOf(b)));
}

/**
 * Those that the mesh serves, in the order of their names.
 * @param boundPort where the entrypoint of that key listens; undefined where it does not
 * @param clusterIP of the Service `namespace/name`
 */
export function readyServices(
  { names, meshDomains, servicePorts, entrypoints }: MeshConfig,
  boundPort: (entrypoint: string) => number | undefined,
  clusterIP: (service: string) => string | undefined,
): ReadyService[] {
  const ports = new Map<string, ReadyPort[]>();
  for (const [key, entrypoint] of Object.entries(entrypoints)) {
    const { namespace, service, trafficType } = servicePorts[
      entrypoint.servicePort
    ] as MeshConfig["servicePorts"][string];
    const bound = boundPort(key);
    const list = ports.get(`${namespace}/${service}`) ?? [];
    ports.set(`${namespace}/${service}`, list);
    list.push({
      port: entrypoint.port,
      protocol: entrypoint.transport === "udp" ? "UDP" : "TCP",
      trafficType,
      ...(bound === undefined || bound === entrypoint.port ? {} : { boundPort: bound }),
    });
  }
  return Object.keys(names)
    .sort(compare)
    .map((key) => {
      const [namespace = "", name = ""] = key.split("/");
      return {
        namespace,
        name,
        clusterIP: clusterIP(key) ?? "None",
        meshIP: names[key]?.[0] ?? "",
        ports: (ports.get(key) ?? []).sort((a, b) => a.port - b.port),
        hosts: meshDomains.map((domain) => `${name}.${namespace}.${domain}`),
      };
    });
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
