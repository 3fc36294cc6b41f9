/** RequestRedirect of the Gateway API (HTTPRequestRedirectFilter): where the caller is sent. The status is the filter's. */
import type { Filter } from "../../../config/mesh-config.ts";

export type Redirect = Extract<Filter, { type: "redirect" }>;

export interface RedirectedRequest {
  /** As the caller spoke. */
  readonly scheme: string;
  /** The request's authority: Host as it came, with or without port; not empty. */
  readonly host: string;
  /** Number of the service port that was called. */
  readonly port: number;
  /** As the filter changes it. */
  readonly path: string;
  /** Without "?"; empty where absent. It is kept. */
  readonly query: string;
}

/** @returns the value of Location, an absolute URI */
export function locationOf(redirect: Redirect, request: RedirectedRequest): string {
  const scheme = redirect.scheme ?? request.scheme;
  const host = redirect.host ?? hostOf(request.host);
  // Another scheme means its own port; without one, the call stays on the port that it came to.
  const port = redirect.port ?? ((redirect.scheme === undefined ? 0 : wellKnownPort(scheme)) || request.port);
  const authority = port === wellKnownPort(scheme) ? host : `${host}:${port}`;
  const query = request.query === "" ? "" : `?${request.query}`;
  return `${scheme}://${authority}${request.path}${query}`;
}

/** 0 for a scheme without one. */
function wellKnownPort(scheme: string): number {
  switch (scheme) {
    case "http":
      return 80;
    case "https":
      return 443;
    default:
      return 0;
  }
}

/** Without the port; an IPv6 address keeps its brackets. */
function hostOf(authority: string): string {
  const colon = authority.lastIndexOf(":");
  return colon > authority.lastIndexOf("]") ? authority.slice(0, colon) : authority;
}
