/**
 * The server blocks that make CoreDNS answer for the mesh domains, between marks by which they are found again. Traefik
 * Mesh's blocks are found by its marks and taken over in place. Everything in them is valid for CoreDNS 1.3 and later.
 */
import { type CoreDnsVersion, olderThan } from "./corefile.ts";

/** A mesh name that the pattern of mode `rewrite` cannot carry: the name of its shadow service is no function of it. */
export interface LongName {
  readonly service: string;
  readonly namespace: string;
  /** Name of the shadow service in the mesh's namespace. */
  readonly shadow: string;
}

/** Where CoreDNS listens for what the cluster's own zone is asked. */
export interface Listening {
  readonly port: string;
  /** Arguments of `bind`; none: all addresses. */
  readonly bind: readonly string[];
}

/**
 * Whose marks our blocks stand between. As long as Traefik Mesh's controller runs, its own: started again, that replaces
 * what stands between its marks, and would append blocks for the same zones where it finds none. Once it does not run,
 * ours: uninstalling it cuts out what stands between its marks.
 */
export type BlockMarks = "own" | "original";

export const STANDARD_LISTENING: Listening = { port: "53", bind: [] };

export interface RewriteTarget {
  readonly meshNamespace: string;
  readonly clusterDomain: string;
  readonly longNames: readonly LongName[];
  readonly version: CoreDnsVersion | undefined;
}

/** What stands in a mark: `#### Begin TITLE Block`. */
export function titleOf(domain: string, marks: BlockMarks): string {
  return (marks === "original" ? TITLES[domain] : undefined) ?? `Mesh ${domain}`;
}

const TITLES: Readonly<Record<string, string>> = { maesh: "Maesh", "traefik.mesh": "Traefik Mesh" };

/** Undefined where the title is none that titleOf gives: other tools may have marks of the same form. */
export function domainOfTitle(title: string): string | undefined {
  const [original] = Object.entries(TITLES).find(([, each]) => each === title) ?? [];
  return original ?? /^Mesh (\S+)$/.exec(title)?.[1];
}

/**
 * Passes the domain's names to Tulle's own DNS. The cache is short: an answer changes with the shadow service, and a name
 * that does not exist yet is one that somebody is about to create.
 */
export function forwardBlock(
  domain: string,
  dnsServiceIPs: readonly string[],
  listening: Listening,
  marks: BlockMarks,
): string {
  return marked(titleOf(domain, marks), domain, listening, [
    "errors",
    "cache {",
    "    success 9984 5",
    "    denial 9984 2",
    "}",
    `forward . ${dnsServiceIPs.join(" ")}`,
  ]);
}

/** Traefik Mesh's own way: CoreDNS turns a mesh name into its shadow service's name, by a pattern. */
export function rewriteBlock(domain: string, target: RewriteTarget, listening: Listening, marks: BlockMarks): string {
  const { meshNamespace, clusterDomain, version } = target;
  const suffix = `${meshNamespace}.svc.${clusterDomain}`;
  return marked(titleOf(domain, marks), domain, listening, [
    "errors",
    ...target.longNames.toSorted(byName).flatMap((name) => exactRewrite(domain, name, suffix)),
    "rewrite continue {",
    `    name regex ([a-zA-Z0-9-_]*)\\.([a-zv0-9-_]*)\\.${domain} ${meshNamespace}-{1}-6d61657368-{2}.${suffix}`,
    `    answer name ${meshNamespace}-([a-zA-Z0-9-_]*)-6d61657368-([a-zA-Z0-9-_]*)\\.${meshNamespace}\\.svc\\.${escaped(clusterDomain)} {1}.{2}.${domain}`,
    "}",
    `kubernetes ${clusterDomain} in-addr.arpa ip6.arpa {`,
    "    pods insecure",
    // CoreDNS refuses `upstream` from 1.7 on; Traefik Mesh leaves the line empty then, and so its bytes are kept.
    olderThan(version, 1, 7) ? "    upstream" : "    ",
    "    fallthrough in-addr.arpa ip6.arpa",
    "}",
    "forward . /etc/resolv.conf",
    "cache 30",
    "loop",
    "reload",
    "loadbalance",
  ]);
}

/** Before the pattern, and `stop`: it wins. A regex, as CoreDNS 1.3 rewrites answers back for no other kind. */
function exactRewrite(domain: string, { service, namespace, shadow }: LongName, suffix: string): string[] {
  const name = `${service}.${namespace}.${domain}`;
  const target = `${shadow}.${suffix}`;
  return [
    "rewrite stop {",
    `    name regex ^${escaped(name)}\\.$ ${target}`,
    `    answer name ^${escaped(target)}\\.$ ${name}`,
    "}",
  ];
}

const escaped = (name: string) => name.replaceAll(".", "\\.");

function byName(a: LongName, b: LongName): number {
  const left = `${a.namespace}/${a.service}`;
  const right = `${b.namespace}/${b.service}`;
  return left < right ? -1 : left > right ? 1 : 0;
}

function marked(title: string, domain: string, { port, bind }: Listening, lines: readonly string[]): string {
  const all = bind.length === 0 ? lines : [`bind ${bind.join(" ")}`, ...lines];
  return [
    `#### Begin ${title} Block`,
    `${domain}:${port} {`,
    ...all.map((line) => `    ${line}`),
    "}",
    `#### End ${title} Block`,
  ].join("\n");
}
