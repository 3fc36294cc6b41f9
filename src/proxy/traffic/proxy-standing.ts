/** How a proxy stands at a moment: what is open, held back or left out. Plain data, which adds up over workers. */
import type { BreakerState } from "../middleware/circuit-breaker/circuit-breaker.ts";
import type { ServicePortState } from "../router/types.ts";

export interface ProxyStanding {
  /** Of callers, in HTTP. */
  readonly connections: number;
  /** To endpoints, in HTTP. */
  readonly upstreamConnections: number;
  readonly tcpFlows: number;
  readonly udpFlows: number;
  /** By key; of those with something to tell. */
  readonly servicePorts: Readonly<Record<string, ServicePortStanding>>;
}

export interface ServicePortStanding {
  /** Undefined without a breaker. */
  readonly breaker: BreakerState | undefined;
  /** Connections to its endpoints that are open or being opened. */
  readonly connections: number;
  /** Calls that wait for one. */
  readonly waiting: number;
  /** Endpoints that are left out now, and how often one was. */
  readonly ejected: number;
  readonly ejections: number;
  /** Tries that the retry budget did not give. */
  readonly retriesRefused: number;
}

export const IDLE: ProxyStanding = {
  connections: 0,
  upstreamConnections: 0,
  tcpFlows: 0,
  udpFlows: 0,
  servicePorts: {},
};

export function standingsOf(servicePorts: Iterable<ServicePortState>): ProxyStanding["servicePorts"] {
  const standings: Record<string, ServicePortStanding> = {};
  for (const { key, breaker, connections, balancer, retry } of servicePorts) {
    const { ejection } = balancer;
    const standing = {
      breaker: breaker?.state,
      connections: connections.open,
      waiting: connections.waiting,
      ejected: ejection.count,
      ejections: ejection.total,
      retriesRefused: retry?.budget.refused ?? 0,
    };
    if (breaker !== undefined || standing.connections > 0 || standing.ejections > 0 || standing.retriesRefused > 0)
      standings[key] = standing;
  }
  return standings;
}

/** Of a service port with nothing to tell. */
const QUIET: ServicePortStanding = {
  breaker: undefined,
  connections: 0,
  waiting: 0,
  ejected: 0,
  ejections: 0,
  retriesRefused: 0,
};

/** With those service ports alone that stand otherwise than before. */
export function changesOfStanding(now: ProxyStanding, before: ProxyStanding): ProxyStanding {
  const servicePorts: Record<string, ServicePortStanding> = {};
  // Of ten thousand, lists of them would take longer than to compare them.
  for (const key in now.servicePorts) {
    const standing = now.servicePorts[key] as ServicePortStanding;
    if (!isSame(standing, before.servicePorts[key] ?? QUIET)) servicePorts[key] = standing;
  }
  for (const key in before.servicePorts) if (now.servicePorts[key] === undefined) servicePorts[key] = QUIET;
  return { ...now, servicePorts };
}

/** @param changes as of `changesOfStanding` */
export function standingWith(before: ProxyStanding, changes: ProxyStanding): ProxyStanding {
  const changed = Object.entries(changes.servicePorts);
  if (changed.length === 0) return { ...changes, servicePorts: before.servicePorts };
  const servicePorts = { ...before.servicePorts };
  for (const [key, standing] of changed)
    if (isSame(standing, QUIET)) delete servicePorts[key];
    else servicePorts[key] = standing;
  return { ...changes, servicePorts };
}

function isSame(a: ServicePortStanding, b: ServicePortStanding): boolean {
  return (
    a.breaker === b.breaker &&
    a.connections === b.connections &&
    a.waiting === b.waiting &&
    a.ejected === b.ejected &&
    a.ejections === b.ejections &&
    a.retriesRefused === b.retriesRefused
  );
}

/** Of proxies that are gone only what they counted is left. */
export function whatRemains({ servicePorts }: ProxyStanding): ProxyStanding {
  const left: Record<string, ServicePortStanding> = {};
  for (const [key, { ejections, retriesRefused }] of Object.entries(servicePorts))
    if (ejections > 0 || retriesRefused > 0) left[key] = { ...QUIET, ejections, retriesRefused };
  return { ...IDLE, servicePorts: left };
}

export function sumOfStandings(all: Iterable<ProxyStanding>): ProxyStanding {
  let { connections, upstreamConnections, tcpFlows, udpFlows } = IDLE;
  const servicePorts: Record<string, ServicePortStanding> = {};
  for (const each of all) {
    connections += each.connections;
    upstreamConnections += each.upstreamConnections;
    tcpFlows += each.tcpFlows;
    udpFlows += each.udpFlows;
    for (const [key, standing] of Object.entries(each.servicePorts)) {
      const known = servicePorts[key];
      servicePorts[key] = known === undefined ? standing : sumOf(known, standing);
    }
  }
  return { connections, upstreamConnections, tcpFlows, udpFlows, servicePorts };
}

export const BREAKER_STATES: readonly BreakerState[] = ["standby", "tripped", "recovering"];

function sumOf(a: ServicePortStanding, b: ServicePortStanding): ServicePortStanding {
  return {
    breaker: worse(a.breaker, b.breaker),
    connections: a.connections + b.connections,
    waiting: a.waiting + b.waiting,
    ejected: a.ejected + b.ejected,
    ejections: a.ejections + b.ejections,
    retriesRefused: a.retriesRefused + b.retriesRefused,
  };
}

/** A Service with a breaker has one worker, so but for moments of change there is one that has any. */
function worse(a: BreakerState | undefined, b: BreakerState | undefined): BreakerState | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a === "tripped" || b === "standby" ? a : b;
}
