/** The text by which the whoami images say who answered and what they were asked. */
import { isIPv6 } from "node:net";
import type { SampleSpec } from "./sample-images.ts";
import type { SampleOptions } from "./samples.ts";

export interface WhoamiSelf {
  readonly podName: string;
  /** One for each interface, loopback first. */
  readonly addresses: readonly string[];
  /** Of flag or environment; empty for none. */
  readonly name: string;
}

export function selfOf({ name }: SampleSpec, { podName, address, ownAddresses }: SampleOptions): WhoamiSelf {
  return { podName, addresses: ownAddresses ?? ["127.0.0.1", address], name };
}

/** `Name:` (where it has one), `Hostname:` and `IP:` lines. */
export function identityLines(self: WhoamiSelf): string {
  const name = self.name === "" ? "" : `Name: ${self.name}\n`;
  const addresses = self.addresses.map((address) => `IP: ${address}\n`);
  return `${name}Hostname: ${self.podName}\n${addresses.join("")}`;
}

const MAPPED_IPV4 = "::ffff:";

/** `10.0.0.4:80`, `[fd00::4]:80`. A socket for both families sees IPv4 callers as `::ffff:10.0.0.4`; they are 10.0.0.4. */
export function addressText(address: string, port: number): string {
  const plain = address.startsWith(MAPPED_IPV4) ? address.slice(MAPPED_IPV4.length) : address;
  return isIPv6(plain) ? `[${plain}]:${port}` : `${plain}:${port}`;
}

/** A request as its server sees it. Header fields as they came, in pairs of name and value. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query as they came. */
  readonly target: string;
  readonly host: string;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
}

/** Fields that are not among the sorted ones, because the message's own lines say them. */
const OWN_LINES = new Set(["Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer"]);
const BODY_METHODS = new Set(["POST", "PUT", "PATCH"]);

/**
 * The request head as Go writes a request that it received: always HTTP/1.1, Host and User-Agent first, then how the
 * body is framed, then the other fields sorted by name, values of one name in their order; up to the blank line.
 */
export function requestText(request: SeenRequest): string {
  const fields = canonicalFields(request.rawHeaders);
  const agent = fields.get("User-Agent")?.[0] ?? "Go-http-client/1.1";
  const lines = [`${request.method} ${request.target} HTTP/1.1`, `Host: ${request.host}`];
  if (agent !== "") lines.push(`User-Agent: ${agent}`);
  const persistent = request.httpVersion !== "1.0" || hasToken(fields.get("Connection"), "keep-alive");
  if (!persistent && !hasToken(fields.get("Connection"), "close")) lines.push("Connection: close");
  if (fields.has("Transfer-Encoding")) lines.push("Transfer-Encoding: chunked");
  else {
    const length = fields.get("Content-Length")?.[0] ?? "0";
    if (Number(length) > 0 || BODY_METHODS.has(request.method)) lines.push(`Content-Length: ${length}`);
  }
  for (const [name, values] of sortedFields(fields)) for (const value of values) lines.push(`${name}: ${value}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** The fields but those that the message's own lines say, sorted by name. */
function sortedFields(fields: ReadonlyMap<string, readonly string[]>): [string, readonly string[]][] {
  return [...fields].filter(([name]) => !OWN_LINES.has(name)).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Values by name in Go's canonical form: `x-real-ip` is `X-Real-Ip`. */
export function canonicalFields(rawHeaders: readonly string[]): Map<string, string[]> {
  const fields = new Map<string, string[]>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = canonicalName(rawHeaders[index] as string);
    const value = (rawHeaders[index + 1] as string).trim();
    const known = fields.get(name);
    if (known === undefined) fields.set(name, [value]);
    else known.push(value);
  }
  return fields;
}

function canonicalName(name: string): string {
  return name.toLowerCase().replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}

function hasToken(values: readonly string[] | undefined, token: string): boolean {
  return (values ?? []).some((value) =>
    value
      .toLowerCase()
      .split(/\s*,\s*/)
      .includes(token),
  );
}
