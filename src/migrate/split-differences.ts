/** What is different for TrafficSplits. */
import { keyOf, refOf, type Service, type TrafficSplit } from "../model/objects.ts";
import type { Topology } from "../topology/topology.ts";
import { type Difference, difference } from "./difference.ts";
import type { OriginalSettings } from "./original-settings.ts";
import { originalAnnotation, trafficTypeOf, wasLeftOut } from "./service-differences.ts";

/** The only version that the original reads. */
const READ = "v1alpha3";

export function splitDifferences(topology: Topology, settings: OriginalSettings): Difference[] {
  const read = topology.splits.filter(({ version }) => version === READ);
  return [
    ...read.flatMap((split) => ofSplit(split, topology, settings)),
    ...ofRoots(read),
    ...ofCycles(read),
    ...ofBackendsWithPorts(read, topology, settings),
    ...topology.splits
      .filter(({ version }) => version !== READ)
      .map((split) =>
        difference("VersionNowRead", refOf(split), "apiVersion", `${split.version}, where ${READ} was read`),
      ),
  ];
}

const rootOf = ({ meta, service }: TrafficSplit) => `${meta.namespace}/${service}`;

function ofSplit(split: TrafficSplit, { services }: Topology, settings: OriginalSettings): Difference[] {
  const object = refOf(split);
  const serviceOf = (name: string) => services.get(`${split.meta.namespace}/${name}`)?.service;
  const root = serviceOf(split.service);
  if (root === undefined) return [];
  const type = trafficTypeOf(root, settings);
  const usable = split.backends.filter(({ service }) => hasPortsOf(serviceOf(service), root));
  const isHttps = (service: Service | undefined) =>
    service !== undefined && originalAnnotation(service, "scheme") === "https";
  const found: Difference[] = [];
  if (!usable.some(({ weight }) => weight > 0))
    found.push(difference("SplitWithoutBackends", object, "spec.backends", ""));
  if (type !== "http") {
    found.push(difference("SplitPortsOfBackends", object, "spec.backends", `Service ${rootOf(split)} is of ${type}`));
    if (settings.acl) found.push(difference("SplitUnderAccessControl", object, "", `Service ${rootOf(split)}`));
  } else {
    if (settings.acl && !wasLeftOut(root, settings))
      found.push(difference("SplitCallersChecked", object, "", `Service ${rootOf(split)}`));
    // The second pass went to a port of the proxies, which speak no TLS.
    if (isHttps(root)) found.push(difference("SplitHttps", object, "", `Service ${rootOf(split)}`));
  }
  return found;
}

function hasPortsOf(backend: Service | undefined, root: Service): boolean {
  return backend !== undefined && root.ports.every(({ port }) => backend.ports.some((each) => each.port === port));
}

function ofRoots(splits: readonly TrafficSplit[]): Difference[] {
  const byRoot = new Map<string, TrafficSplit[]>();
  // The oldest come first.
  for (const split of splits) byRoot.set(rootOf(split), [...(byRoot.get(rootOf(split)) ?? []), split]);
  return [...byRoot].flatMap(([root, [oldest, ...others]]) =>
    oldest === undefined
      ? []
      : others.map((split) =>
          difference(
            "SplitsCompete",
            refOf(split),
            "spec.service",
            `Service ${root} is split by ${keyOf(oldest.meta)} too, which is the one in force`,
          ),
        ),
  );
}

function ofCycles(splits: readonly TrafficSplit[]): Difference[] {
  const backends = new Map<string, string[]>();
  for (const split of splits) {
    const keys = split.backends.map(({ service }) => `${split.meta.namespace}/${service}`);
    backends.set(rootOf(split), [...(backends.get(rootOf(split)) ?? []), ...keys]);
  }
  const reaches = (from: string, to: string, seen: Set<string>): boolean =>
    (backends.get(from) ?? []).some((next) => {
      if (next === to) return true;
      if (seen.has(next)) return false;
      seen.add(next);
      return reaches(next, to, seen);
    });
  return splits
    .filter((split) =>
      split.backends.some(({ service }) => {
        const backend = `${split.meta.namespace}/${service}`;
        return backend === rootOf(split) || reaches(backend, rootOf(split), new Set());
      }),
    )
    .map((split) => difference("SplitCycleCut", refOf(split), "spec.backends", `Service ${rootOf(split)}`));
}

function ofBackendsWithPorts(
  splits: readonly TrafficSplit[],
  { services }: Topology,
  settings: OriginalSettings,
): Difference[] {
  if (!settings.acl) return [];
  const keys = new Set(
    splits.flatMap(({ meta, backends }) => backends.map(({ service }) => `${meta.namespace}/${service}`)),
  );
  return [...keys].sort().flatMap((key) => {
    const service = services.get(key)?.service;
    if (service === undefined || service.ports.length < 2 || trafficTypeOf(service, settings) !== "http") return [];
    const later = service.ports.slice(1).map(({ port }) => port);
    return [difference("PortBehindSplitOpened", refOf(service), "spec.ports", `ports ${later.join(", ")}`)];
  });
}
