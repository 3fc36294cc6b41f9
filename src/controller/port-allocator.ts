/**
 * The ports on which the proxies know a service port. Allotments live in the shadow services; this is their index, made
 * anew from them by whoever leads. TCP and UDP have ports of their own.
 */
import type { TrafficType } from "../config/mesh-config.ts";
import type { Clock } from "../model/clock.ts";

export type Transport = "TCP" | "UDP";

/** Gives service ports ports of the proxies. An owner is a service port, such as `whoami/whoami:80`. */
export interface ProxyPorts {
  /** Allotted ones. */
  readonly size: number;
  /** Takes note of an allotment that a shadow service holds. @returns false where it cannot be */
  claim(owner: string, transport: Transport, port: number): boolean;
  /** The owner's port, allotted now if it has none. @returns undefined when no port is free */
  allot(owner: string, transport: Transport, trafficType: TrafficType): number | undefined;
  release(owner: string, transport: Transport): void;
}

/** @returns `whoami/whoami` of `whoami/whoami:80` */
export const serviceOfOwner = (owner: string) => owner.slice(0, owner.lastIndexOf(":"));

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Outside the range from which Linux takes the ports of outgoing connections (32768–60999), and clear of the proxy's
 * own ports.
 */
export const DEFAULT_RANGES: readonly PortRange[] = [
  { first: 10_000, last: 32_767 },
  { first: 61_000, last: 65_535 },
];
/** A port that was given back rests: connections made by an old answer of DNS must not end at another service. */
export const REST_MS = 120_000;

export interface PortAllocatorOptions {
  readonly clock: Clock;
  readonly ranges?: readonly PortRange[];
  readonly restMs?: number;
}

export class PortAllocator implements ProxyPorts {
  readonly #clock: Clock;
  readonly #ranges: readonly PortRange[];
  readonly #restMs: number;
  readonly #owners: Record<Transport, Map<number, string>> = { TCP: new Map(), UDP: new Map() };
  readonly #ports: Record<Transport, Map<string, number>> = { TCP: new Map(), UDP: new Map() };
  /** Ports given back, with when they may be used again. In the order in which they were. */
  readonly #resting: Record<Transport, Map<number, number>> = { TCP: new Map(), UDP: new Map() };
  readonly #cursor: Record<Transport, number>;

  constructor({ clock, ranges = DEFAULT_RANGES, restMs = REST_MS }: PortAllocatorOptions) {
    this.#clock = clock;
    this.#ranges = ranges;
    this.#restMs = restMs;
    const first = ranges[0]?.first ?? 1;
    this.#cursor = { TCP: first, UDP: first };
  }

  /** Ports that are taken, resting ones not counted. */
  get size(): number {
    return this.#owners.TCP.size + this.#owners.UDP.size;
  }

  /**
   * Takes note of an allotment that a shadow service holds.
   * @param owner who holds it, such as `whoami/whoami:80`
   * @returns false where the port is outside the ranges, or another's
   */
  claim(owner: string, transport: Transport, port: number): boolean {
    if (!this.#inRange(port)) return false;
    const holder = this.#owners[transport].get(port);
    if (holder !== undefined) return holder === owner;
    this.#take(owner, transport, port);
    // What was freed before this replica led is behind the highest port, and so comes last.
    this.#cursor[transport] = Math.max(this.#cursor[transport], port + 1);
    return true;
  }

  /** The owner's port, allotted now if it has none. @returns undefined when no port is free */
  allot(owner: string, transport: Transport): number | undefined {
    const known = this.#ports[transport].get(owner);
    if (known !== undefined) return known;
    const port = this.#free(transport) ?? this.#longestRested(transport);
    if (port === undefined) return undefined;
    this.#take(owner, transport, port);
    this.#cursor[transport] = port + 1;
    return port;
  }

  release(owner: string, transport: Transport): void {
    const port = this.#ports[transport].get(owner);
    if (port === undefined) return;
    this.#ports[transport].delete(owner);
    this.#owners[transport].delete(port);
    this.#resting[transport].delete(port);
    this.#resting[transport].set(port, this.#clock.now() + this.#restMs);
  }

  #take(owner: string, transport: Transport, port: number): void {
    const before = this.#ports[transport].get(owner);
    if (before !== undefined && before !== port) this.release(owner, transport);
    this.#resting[transport].delete(port);
    this.#owners[transport].set(port, owner);
    this.#ports[transport].set(owner, port);
  }

  /** The next one after that allotted last: what was given back comes round last. */
  #free(transport: Transport): number | undefined {
    const resting = this.#resting[transport];
    const now = this.#clock.now();
    const start = this.#cursor[transport];
    for (const port of this.#from(start)) {
      if (this.#owners[transport].has(port)) continue;
      const until = resting.get(port);
      if (until !== undefined && until > now) continue;
      return port;
    }
    return undefined;
  }

  /** When all that is left is resting, resting is over: a service without port would be worse. */
  #longestRested(transport: Transport): number | undefined {
    return this.#resting[transport].keys().next().value;
  }

  *#from(start: number): Iterable<number> {
    for (const { first, last } of this.#ranges)
      for (let port = Math.max(first, start); port <= last; port++) yield port;
    for (const { first, last } of this.#ranges)
      for (let port = first; port <= Math.min(last, start - 1); port++) yield port;
  }

  #inRange(port: number): boolean {
    return this.#ranges.some(({ first, last }) => port >= first && port <= last);
  }
}
