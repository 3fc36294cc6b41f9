/**
 * The ports of Traefik's entry points, which are opened when it starts: 5000 and on for HTTP, shared by all Services, whose
 * calls the Host tells apart; 10000 and on for TCP and 15000 and on for UDP, each for one port of one Service. The chart
 * opens as many of each as the limits say.
 */
import type { TrafficType } from "../config/mesh-config.ts";
import type { Clock } from "../model/clock.ts";
import { PortAllocator, type ProxyPorts, serviceOfOwner, type Transport } from "./port-allocator.ts";

/** How many entry points there are. */
export interface TraefikLimits {
  readonly http: number;
  readonly tcp: number;
  readonly udp: number;
}

const FIRST: Readonly<Record<TrafficType, number>> = { http: 5_000, tcp: 10_000, udp: 15_000 };
export const DEFAULT_LIMITS: TraefikLimits = { http: 10, tcp: 25, udp: 25 };
/** Where another range begins, and where Linux takes the ports of outgoing connections from. */
export const MAX_LIMITS: TraefikLimits = { http: 5_000, tcp: 5_000, udp: 17_768 };

/** @returns whether Traefik has an entry point with that number for that kind of traffic */
export function hasEntrypoint(limits: TraefikLimits, trafficType: TrafficType, port: number): boolean {
  return port >= FIRST[trafficType] && port < FIRST[trafficType] + limits[trafficType];
}

/** A port of the proxies that several Services may have. */
export function isSharedPort(port: number, transport: Transport): boolean {
  return transport === "TCP" && port >= FIRST.http && port < FIRST.http + MAX_LIMITS.http;
}

export class TraefikPorts implements ProxyPorts {
  readonly #limits: TraefikLimits;
  readonly #flows: Readonly<Record<Transport, PortAllocator>>;
  /** By Service, then by owner. */
  readonly #http = new Map<string, Map<string, number>>();

  constructor({ clock, limits }: { readonly clock: Clock; readonly limits: TraefikLimits }) {
    this.#limits = limits;
    const of = (type: "tcp" | "udp") =>
      new PortAllocator({ clock, ranges: [{ first: FIRST[type], last: FIRST[type] + limits[type] - 1 }] });
    this.#flows = { TCP: of("tcp"), UDP: of("udp") };
  }

  get size(): number {
    const shared = [...this.#http.values()].reduce((sum, { size }) => sum + size, 0);
    return shared + this.#flows.TCP.size + this.#flows.UDP.size;
  }

  claim(owner: string, transport: Transport, port: number): boolean {
    if (!isSharedPort(port, transport)) return this.#flows[transport].claim(owner, transport, port);
    if (!hasEntrypoint(this.#limits, "http", port)) return false;
    const held = this.#heldBy(owner);
    if ([...held].some(([other, number]) => number === port && other !== owner)) return false;
    held.set(owner, port);
    return true;
  }

  allot(owner: string, transport: Transport, trafficType: TrafficType): number | undefined {
    if (trafficType !== "http") {
      this.#releaseShared(owner);
      return this.#flows[transport].allot(owner, transport);
    }
    this.#flows.TCP.release(owner, "TCP");
    const held = this.#heldBy(owner);
    const known = held.get(owner);
    if (known !== undefined) return known;
    const taken = new Set(held.values());
    for (let port = FIRST.http; port < FIRST.http + this.#limits.http; port++) {
      if (taken.has(port)) continue;
      held.set(owner, port);
      return port;
    }
    return undefined;
  }

  release(owner: string, transport: Transport): void {
    if (transport === "TCP") this.#releaseShared(owner);
    this.#flows[transport].release(owner, transport);
  }

  #heldBy(owner: string): Map<string, number> {
    const service = serviceOfOwner(owner);
    const held = this.#http.get(service) ?? new Map<string, number>();
    this.#http.set(service, held);
    return held;
  }

  #releaseShared(owner: string): void {
    const service = serviceOfOwner(owner);
    const held = this.#http.get(service);
    held?.delete(owner);
    if (held?.size === 0) this.#http.delete(service);
  }
}
