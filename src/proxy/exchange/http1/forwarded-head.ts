/**
 * Heads as they are sent on: field lines that the proxy does not change are copied in whole runs, byte for byte in
 * order and case; hop-by-hop fields go (RFC 9110 §7.6.1), forwarding fields come.
 */
import type { HeaderChange } from "../../../config/mesh-config.ts";
import { CR } from "../../http1/bytes.ts";
import {
  CONNECTION,
  CONTENT_LENGTH,
  EXPECT,
  HOST_FIELD,
  HTTP2_SETTINGS,
  KEEP_ALIVE,
  PROXY_CONNECTION,
  TE,
  TRANSFER_ENCODING,
  UPGRADE,
  X_FORWARDED_FOR,
  X_FORWARDED_HOST,
  X_FORWARDED_PORT,
  X_FORWARDED_PROTO,
  X_FORWARDED_SERVER,
  X_REAL_IP,
} from "../../http1/fields.ts";
import type { HeadParser } from "../../http1/head-parser.ts";
import { changeFields } from "../../middleware/headers/headers.ts";
import type { IncomingFields } from "../http2/forwarded-fields.ts";
import type { AnswerOptions, ForwardOptions } from "../message-heads.ts";
import type { OwnFields } from "./own-fields.ts";
import { withoutOws } from "./trailers.ts";

/** In a status line, after "HTTP/1.1" and after "HTTP/1.1 200". */
const VERSION_END = 8;
const STATUS_END = 12;
const FORWARDING =
  (1 << X_FORWARDED_FOR) |
  (1 << X_FORWARDED_HOST) |
  (1 << X_FORWARDED_PORT) |
  (1 << X_FORWARDED_PROTO) |
  (1 << X_REAL_IP);

/**
 * @param text the head, one character a byte; the parser's offsets less `base` are indexes into it
 * @returns request line, field lines and the empty line, for HTTP/1.1
 */
export function requestHead(
  parser: HeadParser,
  text: string,
  base: number,
  options: ForwardOptions,
  ownFields: OwnFields,
): string {
  let host = options.host ?? hostOf(parser, text, base) ?? options.defaultHost;
  if (host === "") host = options.defaultHost;
  const keepsHost = options.host === undefined && parser.authorityEnd === 0 && parser.hostIndex >= 0;
  // A request line that need not change is the beginning of the first run.
  let head = "";
  let runStart = parser.methodStart;
  if (!keepsHost || options.path !== undefined || parser.minor === 0 || parser.pathStart !== parser.targetStart) {
    const method = text.slice(parser.methodStart - base, parser.methodEnd - base);
    head = `${method} ${options.path ?? targetOf(parser, text, base)} HTTP/1.1\r\n`;
    if (!keepsHost) head += `Host: ${host}\r\n`;
    runStart = parser.fieldsStart;
  }

  let seen = 0;
  let trailersWelcome = false;
  for (let index = 0; index < parser.fieldCount; index++) {
    const id = parser.id[index] as number;
    seen |= 1 << id;
    if (id === TE && welcomesTrailers(parser, text, base, index)) trailersWelcome = true;
    if (!dropsFromRequest(parser, text, base, index, keepsHost)) continue;
    head += text.slice(runStart - base, (parser.nameStart[index] as number) - base);
    runStart = parser.lineEnd[index] as number;
  }
  head += text.slice(runStart - base, (parser.lineEnd[parser.fieldCount - 1] ?? runStart) - base);

  head = (seen & FORWARDING) === 0 ? head + ownFields.of(options, host) : addForwarding(head, seen, host, options);
  if (parser.upgrade) head += "Connection: Upgrade\r\n";
  else if (trailersWelcome) head += "TE: trailers\r\nConnection: TE\r\n";
  head += `${options.added.addedLines}\r\n`;
  return options.changes.length === 0 ? head : changed(head, options.changes);
}

/** @param seen which fields the request has: of those that are here, none comes twice */
function addForwarding(head: string, seen: number, host: string, options: ForwardOptions): string {
  const { callerAddress, server, port } = options;
  let added =
    (seen & (1 << X_FORWARDED_FOR)) === 0
      ? `${head}X-Forwarded-For: ${callerAddress}\r\n`
      : appendForwardedFor(head, callerAddress);
  if ((seen & (1 << X_FORWARDED_HOST)) === 0) added += `X-Forwarded-Host: ${host}\r\n`;
  if ((seen & (1 << X_FORWARDED_PORT)) === 0) added += `X-Forwarded-Port: ${port}\r\n`;
  if ((seen & (1 << X_FORWARDED_PROTO)) === 0) added += "X-Forwarded-Proto: http\r\n";
  added += `X-Forwarded-Server: ${server}\r\n`;
  if ((seen & (1 << X_REAL_IP)) === 0) added += `X-Real-Ip: ${callerAddress}\r\n`;
  return added;
}

/** @returns status line, field lines and the empty line */
export function responseHead(parser: HeadParser, text: string, base: number, options: AnswerOptions): string {
  // The status line goes on as it came, but for the version, which is a hop's own (RFC 9110 §2.5).
  let head = parser.minor === 1 ? "" : "HTTP/1.1";
  let runStart = base + (parser.minor === 1 ? 0 : VERSION_END);
  // RFC 9112 §4: the space stands there even where no reason follows.
  if (text.charCodeAt(STATUS_END) === CR) {
    head = `HTTP/1.1 ${parser.status} \r\n`;
    runStart = parser.fieldsStart;
  }
  const switching = parser.status === 101;
  const untold = options.framing === "untold";
  // RFC 9112 §6.1: HTTP/1.0 knows no codings, not even in an answer without content.
  const dropsCoding = untold || options.callerMinor === 0;
  for (let index = 0; index < parser.fieldCount; index++) {
    if (!dropsFromResponse(parser, text, base, index, switching, dropsCoding)) continue;
    head += text.slice(runStart - base, (parser.nameStart[index] as number) - base);
    runStart = parser.lineEnd[index] as number;
  }
  head += text.slice(runStart - base, (parser.lineEnd[parser.fieldCount - 1] ?? parser.fieldsStart) - base);
  if (untold && options.callerMinor === 1) head += "Transfer-Encoding: chunked\r\n";
  if (switching) head += "Connection: Upgrade\r\n";
  else if (parser.status >= 200) {
    // RFC 9110 §7.8: who sends Upgrade names it in Connection.
    if (parser.status === 426 && parser.upgradeIndex >= 0) head += "Connection: Upgrade\r\n";
    if (options.close) head += "Connection: close\r\n";
    else if (options.callerMinor === 0) head += "Connection: keep-alive\r\n";
  }
  head += "\r\n";
  return options.changes.length === 0 ? head : changed(head, options.changes);
}

/** The same head's parts, for an endpoint that speaks HTTP/2: its fields less those of the connection. */
export function requestFields(parser: HeadParser, text: string, base: number): IncomingFields {
  const fields: string[] = [];
  let trailersWelcome = false;
  for (let index = 0; index < parser.fieldCount; index++) {
    switch (parser.id[index]) {
      case TE:
        trailersWelcome ||= welcomesTrailers(parser, text, base, index);
        continue;
      case TRANSFER_ENCODING:
      case UPGRADE:
      case HOST_FIELD:
        continue;
    }
    if (dropsFromRequest(parser, text, base, index, false)) continue;
    fields.push(fieldName(parser, text, base, index).toLowerCase(), fieldValue(parser, text, base, index));
  }
  if (trailersWelcome) fields.push("te", "trailers");
  const method = text.slice(parser.methodStart - base, parser.methodEnd - base);
  return { method, path: targetOf(parser, text, base), authority: hostOf(parser, text, base), fields };
}

/** An answer's fields less those of the connection, names in lower case, `:status` first. */
export function responseFields(parser: HeadParser, text: string, base: number): string[] {
  const fields = [":status", String(parser.status)];
  for (let index = 0; index < parser.fieldCount; index++) {
    if (parser.id[index] === UPGRADE || dropsFromResponse(parser, text, base, index, false, true)) continue;
    fields.push(fieldName(parser, text, base, index).toLowerCase(), fieldValue(parser, text, base, index));
  }
  return fields;
}

/** The request target in origin form. */
function targetOf(parser: HeadParser, text: string, base: number): string {
  const method = text.slice(parser.methodStart - base, parser.methodEnd - base);
  return originForm(text.slice(parser.pathStart - base, parser.targetEnd - base), method);
}

/** @param target less the scheme and authority that absolute form has */
export function originForm(target: string, method: string): string {
  if (target.startsWith("/") || target === "*") return target;
  // `http://host` and `http://host?query`: the path is "/", but for OPTIONS, where it means the server (RFC 9112 §3.2.4).
  return target === "" && method === "OPTIONS" ? "*" : `/${target}`;
}

/** The authority of absolute form outweighs Host (RFC 9112 §3.2.2). @returns a part of `text` */
export function hostOf(parser: HeadParser, text: string, base: number): string | undefined {
  if (parser.authorityEnd > 0) return text.slice(parser.authorityStart - base, parser.authorityEnd - base);
  return parser.hostIndex < 0 ? undefined : fieldValue(parser, text, base, parser.hostIndex);
}

function fieldValue(parser: HeadParser, text: string, base: number, index: number): string {
  return text.slice((parser.valueStart[index] as number) - base, (parser.valueEnd[index] as number) - base);
}

function fieldName(parser: HeadParser, text: string, base: number, index: number): string {
  return text.slice((parser.nameStart[index] as number) - base, (parser.nameEnd[index] as number) - base);
}

/** RFC 9110 §10.1.4. */
function welcomesTrailers(parser: HeadParser, text: string, base: number, index: number): boolean {
  return /(^|[ ,\t])trailers($|[ ,\t;])/i.test(fieldValue(parser, text, base, index));
}

function isNominated(parser: HeadParser, text: string, base: number, index: number): boolean {
  if (parser.nominated.length === 0) return false;
  return parser.nominated.includes(fieldName(parser, text, base, index).toLowerCase());
}

function dropsFromRequest(parser: HeadParser, text: string, base: number, index: number, keepsHost: boolean): boolean {
  switch (parser.id[index]) {
    case CONNECTION:
    case KEEP_ALIVE:
    case PROXY_CONNECTION:
    case TE:
    case HTTP2_SETTINGS:
    case X_FORWARDED_SERVER:
      return true;
    case UPGRADE:
      return !parser.upgrade;
    case HOST_FIELD:
      return !keepsHost;
    case EXPECT:
      // RFC 9110 §10.1.1: HTTP/1.0 has no expectations, and the endpoint would take it for one of HTTP/1.1.
      return parser.minor === 0;
    case X_FORWARDED_FOR:
    case X_FORWARDED_HOST:
    case X_FORWARDED_PORT:
    case X_FORWARDED_PROTO:
    case X_REAL_IP:
    case CONTENT_LENGTH:
    case TRANSFER_ENCODING:
      return false;
    default:
      return isNominated(parser, text, base, index);
  }
}

function dropsFromResponse(
  parser: HeadParser,
  text: string,
  base: number,
  index: number,
  switching: boolean,
  dropsCoding: boolean,
): boolean {
  switch (parser.id[index]) {
    case CONNECTION:
    case KEEP_ALIVE:
    case PROXY_CONNECTION:
      return true;
    case UPGRADE:
      // 426 says with it what it would take (RFC 9110 §15.5.22).
      return !switching && parser.status !== 426;
    case TRANSFER_ENCODING:
      return dropsCoding;
    case CONTENT_LENGTH:
      // RFC 9110 §8.6: none in 1xx and 204. Servers send "0" all the same.
      return parser.status < 200 || parser.status === 204;
    default:
      return isNominated(parser, text, base, index);
  }
}

/** Adds the caller to the last X-Forwarded-For line of a head under construction. */
function appendForwardedFor(head: string, callerAddress: string): string {
  const at = head.toLowerCase().lastIndexOf("\r\nx-forwarded-for:");
  const lineEnd = head.indexOf("\r\n", at + 2);
  const line = withoutOws(head.slice(at + 2, lineEnd));
  const joined = line.endsWith(":") ? `${line} ${callerAddress}` : `${line}, ${callerAddress}`;
  return `${head.slice(0, at + 2)}${joined}${head.slice(lineEnd)}`;
}

/** The slow path, for routes that change fields. */
function changed(head: string, changes: readonly HeaderChange[]): string {
  const lines = head.split("\r\n");
  const names: string[] = [];
  const values: string[] = [];
  for (let index = 1; index < lines.length - 2; index++) {
    const line = lines[index] as string;
    const colon = line.indexOf(":");
    names.push(line.slice(0, colon));
    values.push(withoutOws(line.slice(colon + 1)));
  }
  for (const change of changes) changeFields(names, values, change);
  let out = `${lines[0]}\r\n`;
  for (let index = 0; index < names.length; index++) out += `${names[index]}: ${values[index]}\r\n`;
  return `${out}\r\n`;
}
