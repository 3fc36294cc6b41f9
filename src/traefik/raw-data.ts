/**
 * A configuration in the form in which a Traefik's API says what it runs (`/api/rawdata`): everything by its name and
 * provider, with what uses it. Traefik Mesh passed that on as what a proxy has in force.
 */
import type { TraefikConfiguration } from "./traefik-configuration.ts";

interface Used {
  readonly status: "enabled";
  readonly usedBy?: readonly string[];
}

type Entries = Readonly<Record<string, object>>;

export interface RawData {
  readonly routers: Entries;
  readonly middlewares: Readonly<Record<string, Used>>;
  readonly services: Readonly<Record<string, Used>>;
  readonly tcpRouters?: Entries;
  readonly tcpServices?: Readonly<Record<string, Used>>;
  readonly udpRouters?: Entries;
  readonly udpServices?: Readonly<Record<string, Used>>;
}

interface Router {
  readonly entryPoints: readonly string[];
  readonly service: string;
  readonly middlewares?: readonly string[];
}
type ByName<T> = Readonly<Record<string, T>>;

const PROVIDER = "@http";

export function rawData({ http, tcp, udp }: TraefikConfiguration): RawData {
  return {
    routers: routersOf(http.routers),
    middlewares: usedOf(http.middlewares, http.routers, ({ middlewares = [] }) => middlewares),
    services: usedOf(http.services, http.routers, ({ service }) => [service]),
    ...(tcp === undefined
      ? {}
      : { tcpRouters: routersOf(tcp.routers), tcpServices: usedOf(tcp.services, tcp.routers, serviceOf) }),
    ...(udp === undefined
      ? {}
      : { udpRouters: routersOf(udp.routers), udpServices: usedOf(udp.services, udp.routers, serviceOf) }),
  };
}

const serviceOf = ({ service }: Router) => [service];

function routersOf(routers: ByName<Router>): Entries {
  return Object.fromEntries(
    Object.entries(routers).map(([name, router]) => [
      name + PROVIDER,
      { ...router, status: "enabled", using: router.entryPoints },
    ]),
  );
}

/** @param names of what a router uses of them */
function usedOf(
  entries: ByName<object>,
  routers: ByName<Router>,
  names: (router: Router) => readonly string[],
): Record<string, Used> {
  const users = new Map<string, string[]>();
  for (const [router, each] of Object.entries(routers))
    for (const name of names(each)) users.set(name, [...(users.get(name) ?? []), router + PROVIDER]);
  return Object.fromEntries(
    Object.entries(entries).map(([name, entry]) => {
      const usedBy = users.get(name);
      return [name + PROVIDER, { ...entry, status: "enabled", ...(usedBy === undefined ? {} : { usedBy }) }];
    }),
  );
}
