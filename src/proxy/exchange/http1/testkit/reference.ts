/**
 * A second reader of HTTP/1.1, for tests to hold the proxy against: regular expressions on whole messages, written from
 * the grammar of RFC 9112 and from docs/http1.md, and sharing nothing with the codec, not even its tables.
 */

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const FIELD = `${TOKEN}:[\\t\\x20-\\x7e\\x80-\\xff]*\\r\\n`;
const QUOTED = '"(?:[\\t !#-\\[\\]-~\\x80-\\xff]|\\\\[\\t -~\\x80-\\xff])*"';
const EXTENSIONS = `(?:;${TOKEN}(?:=(?:${TOKEN}|${QUOTED}))?)*`;
const REG_NAME = "(?:[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+";
const IP_LITERAL = "\\[(?:[0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\\.[0-9A-Za-z._~!$&'()*+,;=:-]+)\\]";
const AUTHORITY = `(?:${REG_NAME}|${IP_LITERAL})(?::[0-9]*)?`;

const REQUEST_HEAD = new RegExp(`^(?:\\r\\n)*(${TOKEN}) ([!-"$-~]+) HTTP/1\\.([01])\\r\\n((?:${FIELD})*)\\r\\n`);
const ANSWER_HEAD = new RegExp(
  `^HTTP/1\\.([01]) ([1-5][0-9][0-9])(?: ([\\t\\x20-\\x7e\\x80-\\xff]*))?\\r\\n((?:${FIELD})*)\\r\\n`,
);
const CHUNK_LINE = new RegExp(`([0-9A-Fa-f]{1,16})(${EXTENSIONS})\\r\\n`, "y");
const TRAILERS = new RegExp(`((?:${FIELD})*)\\r\\n`, "y");
const FORBIDDEN_TRAILER = new RegExp(
  `^(?:${[
    "age|authorization|cache-control|connection|content-(?:encoding|length|range|type)|cookie|date|expect|expires|host",
    "http2-settings|if-.*|keep-alive|location|max-forwards|pragma|proxy-auth(?:enticate|orization)|proxy-connection",
    "range|retry-after|set-cookie|te|trailer|transfer-encoding|upgrade|vary|warning|www-authenticate",
    "x-forwarded-(?:for|host|port|proto|server)|x-real-ip",
  ].join("|")})$`,
  "i",
);
const PROTECTED = new RegExp(
  "^(?:host|content-length|transfer-encoding|expect|x-forwarded-(?:for|host|port|proto|server)|x-real-ip|" +
    "authorization|cookie)$",
);

type Field = { readonly line: string; readonly name: string; readonly value: string };

/** Content behind a head: `bad` cannot become good by more bytes, `open` can. */
type Content =
  | { readonly state: "bad" | "open" }
  | { readonly state: "whole"; readonly framed: string; readonly data: string; readonly rest: string };

type ReferenceRequest =
  | { readonly verdict: "refused" }
  | { readonly verdict: "good"; readonly head: string; readonly keepAlive: boolean; readonly content: Content };

type ReferenceAnswer =
  | { readonly verdict: "refused" }
  | {
      readonly verdict: "good";
      /** As it goes on to a caller of HTTP/1.1 that may go on. */
      readonly head: string;
      readonly status: number;
      readonly framing: "none" | "length" | "chunks" | "close";
      readonly content: Content;
    };

const fieldsOf = (lines: string): Field[] =>
  (lines.match(new RegExp(FIELD, "g")) ?? []).map((line) => {
    const [, name = "", value = ""] = /^([^:]*):[\t ]*(.*?)[\t ]*\r\n$/s.exec(line) ?? [];
    return { line, name: name.toLowerCase(), value };
  });

const valuesOf = (fields: readonly Field[], name: string): string[] =>
  fields.filter((field) => field.name === name).map((field) => field.value);

/** Connection options, or undefined where the list is none. */
function optionsOf(fields: readonly Field[]): string[] | undefined {
  const parts = valuesOf(fields, "connection")
    .flatMap((value) => value.split(","))
    .map((part) => part.replace(/^[\t ]+|[\t ]+$/g, ""))
    .filter((part) => part !== "");
  if (parts.some((part) => !new RegExp(`^${TOKEN}$`).test(part))) return undefined;
  const options = parts.map((part) => part.toLowerCase());
  return options.some((option) => PROTECTED.test(option)) ? undefined : options;
}

/** Content-Length's number, -1 for chunks, undefined for neither, "bad" for what leaves a choice. */
function lengthOf(fields: readonly Field[], minor: string): number | "bad" | undefined {
  const lengths = valuesOf(fields, "content-length");
  const codings = valuesOf(fields, "transfer-encoding");
  if (lengths.length + codings.length === 0) return undefined;
  if (lengths.length + codings.length > 1) return "bad";
  if (codings[0] !== undefined) return /^chunked$/i.test(codings[0]) && minor === "1" ? -1 : "bad";
  return /^[0-9]{1,15}$/.test(lengths[0] as string) ? Number(lengths[0]) : "bad";
}

function plainContent(text: string, length: number): Content {
  if (text.length < length) return { state: "open" };
  const data = text.slice(0, length);
  return { state: "whole", framed: data, data, rest: text.slice(length) };
}

/** @param hop names that Connection nominates: trailers of that name go no further (RFC 9110 §7.6.1) */
function chunkedContent(text: string, hop: readonly string[]): Content {
  let at = 0;
  let data = "";
  for (;;) {
    CHUNK_LINE.lastIndex = at;
    const line = CHUNK_LINE.exec(text);
    // What is no line yet may become one: only whole messages are told from bad ones here.
    if (line === null) return { state: "bad" };
    const size = Number.parseInt(line[1] as string, 16);
    if (size >= 2 ** 48 || (line[2] as string).length > 4096) return { state: "bad" };
    at = CHUNK_LINE.lastIndex;
    if (size === 0) break;
    if (text.slice(at + size, at + size + 2) !== "\r\n") return { state: "bad" };
    data += text.slice(at, at + size);
    at += size + 2;
  }
  TRAILERS.lastIndex = at;
  const trailers = TRAILERS.exec(text);
  if (trailers === null) return { state: "bad" };
  const fields = fieldsOf(trailers[1] as string);
  if (fields.some(({ name }) => FORBIDDEN_TRAILER.test(name))) return { state: "bad" };
  const kept = fields.filter(({ name }) => !hop.includes(name)).map(({ line }) => line);
  const framed = `${text.slice(0, at)}${kept.join("")}\r\n`;
  return { state: "whole", framed, data, rest: text.slice(TRAILERS.lastIndex) };
}

/** What the target asks of whom, or undefined where it is of no form that is served (RFC 9112 §3.2). */
function targetOf(method: string, target: string): { path: string; authority: string | undefined } | undefined {
  if (/^connect$/i.test(method)) return undefined;
  if (target === "*") return method === "OPTIONS" ? { path: "*", authority: undefined } : undefined;
  if (target.startsWith("/")) return { path: target, authority: undefined };
  const absolute = new RegExp(`^https?://(${AUTHORITY})(?:(/.*)|(\\?.*))?$`, "is").exec(target);
  if (absolute === null) return undefined;
  const [, authority, path, query] = absolute;
  if (path !== undefined) return { path, authority };
  if (query !== undefined) return { path: `/${query}`, authority };
  return { path: method === "OPTIONS" ? "*" : "/", authority };
}

/**
 * @param text from a request's first byte
 * @returns what goes on, without the fields that the proxy adds for forwarding
 */
export function referenceRequest(text: string): ReferenceRequest {
  const refused = { verdict: "refused" } as const;
  const parts = REQUEST_HEAD.exec(text);
  if (parts === null) return refused;
  const [whole, method = "", rawTarget = "", minor = "", lines = ""] = parts;
  const target = targetOf(method, rawTarget);
  const fields = fieldsOf(lines);
  const hosts = valuesOf(fields, "host");
  const options = optionsOf(fields);
  const length = lengthOf(fields, minor);
  if (target === undefined || options === undefined || length === "bad") return refused;
  if (hosts.length > 1 || (hosts.length === 0 && minor === "1")) return refused;
  if (hosts[0] !== undefined && hosts[0] !== "" && !new RegExp(`^${AUTHORITY}$`).test(hosts[0])) return refused;

  const protocols = valuesOf(fields, "upgrade");
  const upgrades =
    minor === "1" && options.includes("upgrade") && protocols.length > 0 && (length === undefined || length === 0);
  const switches = upgrades && !/h2c/i.test(protocols.join()) && valuesOf(fields, "http2-settings").length === 0;
  const trailersWelcome = valuesOf(fields, "te").some((value) => /(?:^|[ ,\t])trailers(?:$|[ ,\t;])/i.test(value));
  const dropped = /^(?:connection|keep-alive|proxy-connection|te|http2-settings|x-forwarded-server)$/;
  const kept = fields.filter(({ name }) => {
    if (dropped.test(name) || (name === "expect" && minor === "0")) return false;
    if (name === "host") return target.authority === undefined;
    if (name === "upgrade") return switches;
    return !options.includes(name);
  });
  let head = `${method} ${target.path} HTTP/1.1\r\n`;
  if (target.authority !== undefined) head += `Host: ${target.authority}\r\n`;
  else if (hosts.length === 0) head += "Host: svc.ns\r\n";
  head += kept.map(({ line }) => line).join("");
  if (switches) head += "Connection: Upgrade\r\n";
  else if (trailersWelcome) head += "TE: trailers\r\nConnection: TE\r\n";
  const keepAlive = !options.includes("close") && (minor === "1" || options.includes("keep-alive"));
  const after = text.slice(whole.length);
  const content = length === -1 ? chunkedContent(after, options) : plainContent(after, length ?? 0);
  return { verdict: "good", head: `${head}\r\n`, keepAlive, content };
}

/** @param text from an answer's first byte to the end of the connection; @param method of its request */
export function referenceAnswer(text: string, method: string): ReferenceAnswer {
  const refused = { verdict: "refused" } as const;
  const parts = ANSWER_HEAD.exec(text);
  if (parts === null) return refused;
  const [whole, minor = "", code = "", reason = "", lines = ""] = parts;
  const status = Number(code);
  const fields = fieldsOf(lines);
  const options = optionsOf(fields);
  const length = lengthOf(fields, minor);
  const informational = status < 200 || status === 204;
  if (options === undefined || length === "bad" || status === 101) return refused;
  if (informational && length === -1) return refused;
  const none = method === "HEAD" || informational || status === 304;
  const framing = none ? "none" : length === undefined ? "close" : length === -1 ? "chunks" : "length";
  const kept = fields.filter(({ name }) => {
    if (/^(?:connection|keep-alive|proxy-connection)$/.test(name)) return false;
    if (name === "upgrade") return status === 426;
    if (name === "content-length") return !informational;
    return !options.includes(name);
  });
  let head = `HTTP/1.1 ${code} ${reason}\r\n${kept.map(({ line }) => line).join("")}`;
  if (framing === "close") head += "Transfer-Encoding: chunked\r\n";
  if (status === 426 && valuesOf(fields, "upgrade").length > 0) head += "Connection: Upgrade\r\n";
  const after = text.slice(whole.length);
  const content =
    framing === "chunks"
      ? chunkedContent(after, options)
      : plainContent(after, framing === "close" ? after.length : framing === "none" ? 0 : (length as number));
  return { verdict: "good", head: `${head}\r\n`, status, framing, content };
}

/** The whole requests that an endpoint finds in what it was sent, and what is left over. */
export function splitRequests(text: string): { readonly requests: readonly string[]; readonly rest: string } {
  const requests: string[] = [];
  let rest = text;
  for (;;) {
    const next = referenceRequest(rest);
    if (next.verdict === "refused" || next.content.state !== "whole") return { requests, rest };
    requests.push(rest.slice(0, rest.length - next.content.rest.length));
    rest = next.content.rest;
  }
}
