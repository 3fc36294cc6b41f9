/**
 * Requests as fields: what the proxy adds and changes where one side of it speaks HTTP/2. Names are in lower case, lists
 * are name, value, name, value …
 */
import type { HeaderChange } from "../../../config/mesh-config.ts";
import { changeFields } from "../../middleware/headers/headers.ts";
import type { ForwardOptions } from "../message-heads.ts";

/** A request without what belongs to the connection that it came on. */
export interface IncomingFields {
  readonly method: string;
  readonly path: string;
  readonly authority: string | undefined;
  /** Neither pseudo fields nor `host`. */
  readonly fields: readonly string[];
}

/** @returns the request's head for HTTP/2, pseudo fields first */
export function requestFieldsOut(request: IncomingFields, options: ForwardOptions): string[] {
  const host = hostOut(request, options);
  const { method } = request;
  const pseudo = [":method", method, ":scheme", options.scheme, ":authority", host];
  pseudo.push(":path", options.path ?? request.path);
  return pseudo.concat(withForwarding(request, host, options));
}

/**
 * @param framing the field that says how the content ends, where `request` has none; "" for none
 * @returns the request's head for HTTP/1.1
 */
export function requestLinesOut(request: IncomingFields, framing: string, options: ForwardOptions): string {
  const host = hostOut(request, options);
  const fields = withForwarding(request, host, options);
  let head = `${request.method} ${options.path ?? request.path} HTTP/1.1\r\nHost: ${host}\r\n`;
  let cookies = "";
  let trailersWelcome = false;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] as string;
    // RFC 9113 §8.2.3: in pieces for the sake of compression; HTTP/1.1 has one field.
    if (name === "cookie") cookies = cookies === "" ? (fields[at + 1] as string) : `${cookies}; ${fields[at + 1]}`;
    else if (name === "te") trailersWelcome = true;
    else head += `${name}: ${fields[at + 1]}\r\n`;
  }
  if (cookies !== "") head += `cookie: ${cookies}\r\n`;
  if (trailersWelcome) head += "TE: trailers\r\nConnection: TE\r\n";
  return `${head}${framing}\r\n`;
}

/** The fields as route filters leave them. */
export function changedFields(fields: readonly string[], changes: readonly HeaderChange[]): string[] {
  const names: string[] = [];
  const values: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    names.push(fields[at] as string);
    values.push(fields[at + 1] as string);
  }
  for (const change of changes) changeFields(names, values, change);
  return names.flatMap((name, index) => [name.toLowerCase(), values[index] as string]);
}

function hostOut(request: IncomingFields, options: ForwardOptions): string {
  return options.host || request.authority || options.defaultHost;
}

/** The forwarding fields as for HTTP/1.1: the caller appended to X-Forwarded-For, the rest where absent. */
function withForwarding(request: IncomingFields, host: string, options: ForwardOptions): string[] {
  const { callerAddress, server } = options;
  const { addedFields } = options.added;
  const out: string[] = [];
  let forwardedFor = -1;
  let hasHost = false;
  let hasPort = false;
  let hasProto = false;
  let hasRealIp = false;
  for (let at = 0; at < request.fields.length; at += 2) {
    const name = request.fields[at] as string;
    switch (name) {
      case "x-forwarded-server":
        continue;
      case "x-forwarded-for":
        forwardedFor = out.length + 1;
        break;
      case "x-forwarded-host":
        hasHost = true;
        break;
      case "x-forwarded-port":
        hasPort = true;
        break;
      case "x-forwarded-proto":
        hasProto = true;
        break;
      case "x-real-ip":
        hasRealIp = true;
    }
    out.push(name, request.fields[at + 1] as string);
  }
  if (forwardedFor < 0) out.push("x-forwarded-for", callerAddress);
  else out[forwardedFor] = out[forwardedFor] === "" ? callerAddress : `${out[forwardedFor]}, ${callerAddress}`;
  if (!hasHost) out.push("x-forwarded-host", host);
  if (!hasPort) out.push("x-forwarded-port", String(options.port));
  if (!hasProto) out.push("x-forwarded-proto", "http");
  out.push("x-forwarded-server", server);
  if (!hasRealIp) out.push("x-real-ip", callerAddress);
  if (addedFields.length > 0) out.push(...addedFields);
  return options.changes.length === 0 ? out : changedFields(out, options.changes);
}
