/** Routers and services of TCP and UDP, where the entry point alone says which service port is meant. */
import type { ServicePort } from "../config/mesh-config.ts";
import { inKeyOrder } from "../model/in-key-order.ts";
import { ALWAYS, allOf, type Condition, matcher, NEVER } from "./condition.ts";
import { dialled } from "./http-part.ts";
import { Names } from "./names.ts";
import { ServiceBook } from "./service-book.ts";
import type { FlowServers, TcpRouter, TcpTransport, TraefikConfiguration, UdpRouter } from "./traefik-configuration.ts";
import type { Translation } from "./translation.ts";

const BLOCK_ALL = "block-all-service";
/** Traefik ends a connection 100 ms after one side's end otherwise, and the other's last words are lost. */
const TERMINATION_DELAY = "-1ms";
/** A word: no namespace and Service come to it. */
const COMMON_TRANSPORT = "tcp";
const ANYBODY = matcher("HostSNI", "*");

export class TcpPart {
  readonly #mesh: Translation;
  readonly #book: ServiceBook<FlowServers>;
  readonly #names = new Names();
  readonly #transportNames = new Names();
  readonly #routers = new Map<string, TcpRouter>();
  readonly #transports = new Map<string, TcpTransport>();

  constructor(mesh: Translation) {
    this.#mesh = mesh;
    this.#book = new ServiceBook(mesh.config.servicePorts, mesh.access, "tcp", (servicePort, endpoints) => ({
      loadBalancer: {
        servers: endpoints.map((each) => ({ address: dialled(servicePort, each) })),
        serversTransport: this.#transportOf(servicePort),
      },
    }));
  }

  add(key: string, servicePort: ServicePort, number: number): void {
    const { namespace, service, port } = servicePort;
    const put = (name: string, condition: Condition, priority: number, to: string) => {
      const rule = allOf([ANYBODY, condition]).text;
      this.#routers.set(name, { entryPoints: [`tcp-${number}`], rule, priority, service: to });
    };
    const name = this.#names.of("", [namespace, service, port]);
    const [first] = this.#mesh.cases.of(key);
    const { access } = this.#mesh;
    let plain = access === undefined;
    if (first !== undefined && first.target !== "own") {
      if (first.obstacle !== undefined) this.#mesh.reportObstacle(first.origin, first.obstacle);
      const allowed = this.#book.access(first, (leaf) => this.#mesh.reportStricter(first.origin, leaf));
      const split = this.#names.of("traffic-split", [namespace, service, first.origin.name, port]);
      plain = false;
      if (first.obstacle === undefined && allowed !== NEVER) put(split, allowed, 3, this.#book.ofCase(first));
    } else if (access !== undefined) {
      const openings = access.openings(servicePort, "tcp");
      this.#mesh.reportEndpointsApart(key, openings);
      plain = Object.keys(servicePort.endpoints).length === 0;
      for (const [index, { key: target, rule, condition, endpoints }] of openings.entries()) {
        const parts = [namespace, service, rule.origin.name, port];
        const router = this.#names.of("traffic-target", parts, [rule.origin.namespace]);
        put(router, condition, 2 + openings.length - index, this.#book.ofTarget(servicePort, target, endpoints));
      }
    }
    put(name, ALWAYS, 1, plain ? this.#book.own(servicePort) : BLOCK_ALL);
  }

  finish(): TraefikConfiguration["tcp"] {
    if (this.#routers.size === 0) return undefined;
    const { services } = this.#book;
    return {
      routers: Object.fromEntries(inKeyOrder(this.#routers)),
      // Without servers: it closes what is let in to nobody.
      services: Object.fromEntries(
        inKeyOrder(Object.entries({ ...services, [BLOCK_ALL]: { loadBalancer: { servers: [] } } })),
      ),
      serversTransports: Object.fromEntries(inKeyOrder(this.#transports)),
    };
  }

  #transportOf({ namespace, service, timeouts }: ServicePort): string {
    const connectMs = timeouts?.connectMs;
    const terminationDelay = TERMINATION_DELAY;
    const name = connectMs === undefined ? COMMON_TRANSPORT : this.#transportNames.of("", [namespace, service]);
    this.#transports.set(
      name,
      connectMs === undefined ? { terminationDelay } : { dialTimeout: `${connectMs}ms`, terminationDelay },
    );
    return name;
  }
}

/** Traefik does not tell callers of UDP apart: under access control nobody is let in. */
export class UdpPart {
  readonly #mesh: Translation;
  readonly #book: ServiceBook<FlowServers>;
  readonly #names = new Names();
  readonly #routers = new Map<string, UdpRouter>();

  constructor(mesh: Translation) {
    this.#mesh = mesh;
    this.#book = new ServiceBook(mesh.config.servicePorts, undefined, "tcp", (servicePort, endpoints) => ({
      loadBalancer: { servers: endpoints.map((each) => ({ address: dialled(servicePort, each) })) },
    }));
  }

  add(key: string, servicePort: ServicePort, number: number): void {
    if (this.#mesh.access !== undefined) {
      this.#mesh.reportUdp(servicePort);
      return;
    }
    const { namespace, service, port } = servicePort;
    const [first] = this.#mesh.cases.of(key);
    const isSplit = first !== undefined && first.target !== "own";
    if (isSplit && first.obstacle !== undefined) {
      this.#mesh.reportObstacle(first.origin, first.obstacle);
      return;
    }
    const name = isSplit
      ? this.#names.of("traffic-split", [namespace, service, first.origin.name, port])
      : this.#names.of("", [namespace, service, port]);
    this.#routers.set(name, {
      entryPoints: [`udp-${number}`],
      service: isSplit ? this.#book.ofCase(first) : this.#book.own(servicePort),
    });
  }

  finish(): TraefikConfiguration["udp"] {
    if (this.#routers.size === 0) return undefined;
    return { routers: Object.fromEntries(inKeyOrder(this.#routers)), services: this.#book.services };
  }
}
