/**
 * `stubDomains` of the ConfigMap kube-dns: JSON text, a list of DNS servers for each domain. KubeDNS reads it, and so does
 * NodeLocal DNSCache. It is edited as text, so that what others wrote stays byte for byte.
 */
import { inKeyOrder } from "../model/in-key-order.ts";

export type StubDomains = { readonly text: string; readonly replaced: readonly string[] } | { readonly fault: string };

/** What we start from where there was nothing: when only this is left again, the key goes, and `{}` of others stays. */
const EMPTY_OURS = "{ }\n";

/** `replaced` are the domains that had other servers before. */
export function putStubDomains(
  text: string | undefined,
  domains: readonly string[],
  servers: readonly string[],
): StubDomains {
  const before = decode(text ?? EMPTY_OURS);
  if (before === undefined) return NOT_JSON;
  const wanted = JSON.stringify(servers);
  const same = (domain: string) => JSON.stringify(before[domain]) === wanted;
  const replaced = domains.filter((domain) => Object.hasOwn(before, domain) && !same(domain));
  let result = text ?? EMPTY_OURS;
  for (const domain of domains) if (!same(domain)) result = put(result, domain, wanted);
  return { text: result, replaced };
}

/** Undefined `text`: nothing is left of it, so the key goes. */
export function takeOutStubDomains(
  text: string | undefined,
  domains: readonly string[],
): { readonly text: string | undefined } | { readonly fault: string } {
  if (text === undefined) return { text };
  const before = decode(text);
  if (before === undefined) return NOT_JSON;
  const present = domains.filter((domain) => Object.hasOwn(before, domain));
  let result = text;
  for (const domain of present.toReversed()) result = takeOut(result, domain);
  return { text: present.length > 0 && result === EMPTY_OURS ? undefined : result };
}

const NOT_JSON = {
  fault: "stubDomains is no JSON object whose values are lists of addresses: correct it, or delete the key.",
};

function decode(text: string): Readonly<Record<string, readonly string[]>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return Object.values(value).every(Array.isArray) ? (value as Record<string, string[]>) : undefined;
  } catch {
    return undefined;
  }
}

/** Checked by reading both again: text that is JSON in a way we did not think of is written anew, tidily. */
function put(text: string, domain: string, servers: string): string {
  const member = `${JSON.stringify(domain)}:${servers}`;
  const expected = { ...decode(text), [domain]: JSON.parse(servers) as string[] };
  const old = memberPattern(domain).exec(text);
  const edited = old
    ? text.slice(0, old.index) +
      old[0].replace(bareMember(domain), () => member) +
      text.slice(old.index + old[0].length)
    : text.replace(/(\s*)\}(\s*)$/, (_, before: string, after: string) =>
        Object.keys(expected).length > 1 ? `,${member}${before}}${after}` : `${member}${before}}${after}`,
      );
  return means(edited, expected) ? edited : JSON.stringify(expected);
}

function takeOut(text: string, domain: string): string {
  const { [domain]: _, ...expected } = decode(text) ?? {};
  const edited = text.replace(memberPattern(domain), (whole) =>
    whole.startsWith(",") && whole.endsWith(",") ? "," : "",
  );
  return means(edited, expected) ? edited : JSON.stringify(expected);
}

function means(text: string, expected: object): boolean {
  const value = decode(text);
  const inOrder = (each: object) => JSON.stringify(inKeyOrder(Object.entries(each)));
  return value !== undefined && inOrder(value) === inOrder(expected);
}

const memberSource = (domain: string) =>
  `"${domain.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}"\\s*:\\s*\\[[^\\[\\]{}]*\\]`;
const bareMember = (domain: string) => new RegExp(memberSource(domain));
/** With the comma before it, or else the one behind. */
const memberPattern = (domain: string) => new RegExp(`,${memberSource(domain)}|${memberSource(domain)},?`);
