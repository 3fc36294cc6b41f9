/** Which mesh the cluster's DNS leads to now, told from what it says of the mesh domains. */
import { type CorefileEntry, parseCorefile, zoneOf } from "./corefile.ts";
import { detectDns, type ObservedDns } from "./dns-provider.ts";

export interface DnsHolder {
  /** Into whose shadow services names are rewritten; absent: they are not. */
  readonly namespace?: string;
  /** Where questions are forwarded to; empty: nowhere. */
  readonly addresses: readonly string[];
}

/** Undefined: the mesh domains are served for no mesh. */
export function holderOf(observed: ObservedDns, meshDomains: readonly string[]): DnsHolder | undefined {
  const { provider } = detectDns(observed);
  switch (provider?.kind) {
    case undefined:
      return undefined;
    case "kube-dns":
      return ofStubDomains(observed.configMaps[provider.configMap]?.data?.["stubDomains"], meshDomains);
    case "openshift": {
      const servers = observed.dnsOperator?.spec?.servers ?? [];
      const server = servers.find(({ zones = [] }) => zones.some((zone) => isMeshDomain(zone, meshDomains)));
      return server && { addresses: server.forwardPlugin?.upstreams ?? [] };
    }
    case "coredns": {
      const { configMap, key, custom } = provider;
      const customData = custom === undefined ? {} : (observed.configMaps[custom.configMap]?.data ?? {});
      const texts = [
        observed.configMaps[configMap]?.data?.[key] ?? "",
        ...Object.entries(customData)
          .filter(([name]) => custom !== undefined && name.endsWith(custom.suffix))
          .map(([, text]) => text),
      ];
      return texts.map((text) => ofCorefile(text, meshDomains)).find((holder) => holder !== undefined);
    }
  }
}

function isMeshDomain(key: string, meshDomains: readonly string[]): boolean {
  const zone = zoneOf(key)?.zone;
  return meshDomains.some((domain) => domain.toLowerCase() === zone);
}

function ofCorefile(text: string, meshDomains: readonly string[]): DnsHolder | undefined {
  const block = parseCorefile(text).blocks.find(({ keys }) => keys.some((key) => isMeshDomain(key, meshDomains)));
  if (block === undefined) return undefined;
  const namespace = block.plugins
    .flatMap(wordsOf)
    .map(rewrittenInto)
    .find((found) => found !== undefined);
  if (namespace !== undefined) return { namespace, addresses: [] };
  const forward = block.plugins.find(({ name }) => name === "forward");
  return { addresses: forward?.args.slice(1) ?? [] };
}

function wordsOf({ name, args, body = [] }: CorefileEntry): string[] {
  return name === "rewrite" || name === "name" ? [...args, ...body.flatMap(wordsOf)] : [];
}

/** `NAMESPACE-{1}-6d61657368-{2}.NAMESPACE.svc.DOMAIN`, as Traefik Mesh has it, and we in mode `rewrite`. */
function rewrittenInto(word: string): string | undefined {
  return /^([a-z0-9-]+)-\{1\}-6d61657368-\{2\}\.\1\.svc\./.exec(word)?.[1];
}

function ofStubDomains(text: string | undefined, meshDomains: readonly string[]): DnsHolder | undefined {
  try {
    const stubs = (JSON.parse(text ?? "{}") ?? {}) as Readonly<Record<string, unknown>>;
    const servers = meshDomains.map((domain) => stubs[domain]).find(Array.isArray);
    return servers && { addresses: servers.map(String) };
  } catch {
    return undefined;
  }
}
