/** Flags that were given to Traefik as the node proxy, beside those that its chart makes. */
import { textsOf, type ValueTree } from "./value-tree.ts";

export interface ProxyFlag {
  /** As written. */
  readonly text: string;
  /** In small letters, without dashes. */
  readonly name: string;
  readonly value: string;
}

export function proxyFlags(texts: readonly string[]): ProxyFlag[] {
  return texts.map((text) => {
    const [, name = text, value = "true"] = /^--?([^=]+)(?:=(.*))?$/s.exec(text) ?? [];
    return { text, name: name.toLowerCase(), value };
  });
}

/** As Go reads a flag. */
export function isFlagOn(value: string): boolean {
  return !/^(?:0|f|F|false|False|FALSE)$/.test(value);
}

/** What the original's chart gives its proxies by itself, from its values. */
const CHARTS =
  /^(?:entrypoints\.(?:http|tcp|udp)-\d+\.|entrypoints\.(?:readiness|liveness|traefik)\.|providers\.|api(?:\.|$)|ping(?:\.|$)|metrics\.|tracing(?:\.|$)|log\.(?:level|format)$|global\.|serverstransport\.forwardingtimeouts\.|hostresolver\.)/;

export function isOfChart({ name }: ProxyFlag): boolean {
  return CHARTS.test(name);
}

/** Puts what Tulle has for a flag into the values. @returns why it has nothing; empty: it has */
export function mapFlag({ name, value }: ProxyFlag, values: ValueTree): string {
  switch (name) {
    case "accesslog":
      values.set("proxy.accessLog.enabled", isFlagOn(value));
      if (values.get("proxy.accessLog.format") === undefined) values.set("proxy.accessLog.format", "common");
      return "";
    case "accesslog.format":
      values.set("proxy.accessLog.format", value === "json" ? "json" : "common");
      return "";
    case "accesslog.filters.statuscodes":
      values.set("proxy.accessLog.filters.status", textsOf(value));
      return "";
    case "accesslog.filters.minduration":
      values.set("proxy.accessLog.filters.minDuration", /^\d+$/.test(value) ? `${value}s` : value);
      return "";
    case "accesslog.filters.retryattempts":
      values.set("proxy.accessLog.filters.retries", isFlagOn(value));
      return "";
    case "log.level":
      values.set("proxy.logLevel", logLevel(value));
      return "";
    case "serverstransport.insecureskipverify":
      return !isFlagOn(value)
        ? ""
        : 'it is by Service in Tulle: annotation tulle.dev/tls-verify: "false" on those of scheme https';
    case "serverstransport.rootcas":
      return "put the authorities into a ConfigMap, and name it in proxy.upstreamCaConfigMap";
    default:
      return "Tulle's proxy has no such flag";
  }
}

/** Logrus and Traefik have more levels than Tulle. */
export function logLevel(level: string): string {
  const lower = level.toLowerCase();
  if (lower === "panic" || lower === "fatal") return "error";
  if (lower === "warning") return "warn";
  return lower === "trace" ? "debug" : lower;
}
