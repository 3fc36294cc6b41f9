/** Options of the commands that work on a cluster. */
import { hostname, networkInterfaces } from "node:os";
import { type Command, InvalidArgumentError, type Option } from "commander";
import type { TrafficType } from "../config/mesh-config.ts";
import type { DnsMode } from "../controller/dns-change.ts";
import { DEFAULT_LIMITS, MAX_LIMITS } from "../controller/traefik-ports.ts";
import { systemClock } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { LOG_LEVELS, type LogFormat, type LogLevel, processLog } from "../telemetry/process-log.ts";
import { setting } from "./settings.ts";

const MAX_WORKERS = 256;

export const DEFAULT_NAMESPACE = "tulle";

export function namespaceOption(): Option {
  return setting("--namespace <namespace>", "the mesh's own namespace").default(DEFAULT_NAMESPACE);
}

/** For commands that look at a cluster from outside. */
export function foundNamespaceOption(): Option {
  return setting("--namespace <namespace>", "the mesh's own namespace; without it, the one that has a controller");
}

export function kubeconfigOption(): Option {
  return setting(
    "--kubeconfig <file>",
    "how to reach the cluster; without it the Pod's own account, KUBECONFIG or ~/.kube/config",
  );
}

export function podNameOption(whose: "replica" | "proxy"): Option {
  return setting("--pod-name <name>", `this ${whose}'s Pod`).default(hostname(), "the host's name");
}

/** Of the ServiceAccount, as the config stream asks for it. */
export function tokenFileOption(whose: "replica" | "proxy"): Option {
  return setting("--token-file <file>", `token of this ${whose}, for the audience tulle-config`).default(
    "/var/run/secrets/tulle/token",
  );
}

export function clusterDomainOption(): Option {
  return setting("--cluster-domain <domain>", "the cluster's DNS domain; found where not given");
}

export function dnsModeOption(): Option {
  return setting(
    "--dns-mode <mode>",
    "how mesh names get into cluster DNS: forward (to the proxies), rewrite (to shadow services' names) or manual",
  )
    .default("forward" satisfies DnsMode)
    .argParser((text: string): DnsMode => {
      if (text === "forward" || text === "rewrite" || text === "manual") return text;
      throw new InvalidArgumentError(`"${text}" is none of forward, rewrite, manual.`);
    });
}

/** What carries the calls on each node. */
export type ProxyEngine = "tulle" | "traefik";

export function proxyEngineOption(): Option {
  return setting("--proxy-engine <engine>", "what the proxies are: tulle, or traefik, which polls its configuration")
    .default("tulle" satisfies ProxyEngine)
    .argParser((text: string): ProxyEngine => {
      if (text === "tulle" || text === "traefik") return text;
      throw new InvalidArgumentError(`"${text}" is neither tulle nor traefik.`);
    });
}

/** How many entry points of a kind Traefik was started with. */
export function limitOption(trafficType: TrafficType): Option {
  const most = MAX_LIMITS[trafficType];
  return setting(
    `--limit-${trafficType}-port <count>`,
    `with traefik: its entry points of ${trafficType.toUpperCase()}, as the proxies were started`,
  )
    .default(DEFAULT_LIMITS[trafficType])
    .argParser((text: string) => {
      const count = Number(text);
      if (!/^\d+$/.test(text) || count > most)
        throw new InvalidArgumentError(`"${text}" is not a number from 0 to ${most}.`);
      return count;
    });
}

export function meshDomainsOption(): Option {
  return setting("--mesh-domains <domains>", "domains of the mesh names, separated by commas")
    .default(["traefik.mesh", "maesh"], "traefik.mesh,maesh")
    .argParser(commaList);
}

export function portOption(flag: string, purpose: string, fallback: number): Option {
  return setting(`--${flag} <port>`, purpose)
    .default(fallback)
    .argParser((text: string) => {
      const port = Number(text);
      if (!/^\d{1,5}$/.test(text) || port > 65535) throw new InvalidArgumentError(`"${text}" is not a port.`);
      return port;
    });
}

export function addressOption(purpose: string): Option {
  return setting("--address <address>", purpose).default(anyAddress(), "every address of the Pod");
}

/** `::` takes IPv4 too, but cannot be had where the kernel has no IPv6. */
function anyAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.some(
    ({ family, internal, address }) => family === "IPv6" && !internal && !address.startsWith("fe80:"),
  )
    ? "::"
    : "0.0.0.0";
}

export function hostPortOption(flag: string, purpose: string, fallback: string): Option {
  return setting(`--${flag} <host:port>`, purpose).default(parseHostPort(fallback), fallback).argParser(parseHostPort);
}

function parseHostPort(text: string): { host: string; port: number } {
  const match = /^(\[[0-9a-fA-F:]+\]|[^:[\]]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65535) throw new InvalidArgumentError(`"${text}" is not HOST:PORT.`);
  return { host: (match[1] as string).replace(/^\[|\]$/g, ""), port };
}

export function commaListOption(flag: string, purpose: string): Option {
  return setting(flag, `${purpose}; may be repeated`)
    .default([], "none")
    .argParser((text: string, previous: readonly string[] | undefined) => [...(previous ?? []), ...commaList(text)]);
}

function commaList(text: string): string[] {
  return text
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");
}

export function secondsOption(flag: string, purpose: string, fallback: number): Option {
  return setting(`--${flag} <seconds>`, purpose)
    .default(fallback)
    .argParser((text: string) => {
      const seconds = Number(text);
      if (text.trim() === "" || !Number.isFinite(seconds) || seconds < 0)
        throw new InvalidArgumentError(`"${text}" is not a number of seconds.`);
      return seconds;
    });
}

/** `--workers`: processes that carry calls. */
export function workersOption(): Option {
  return setting("--workers <count>", "processes that carry calls; auto: as many as the cores it may use, at most 4")
    .default("auto")
    .argParser((text: string) => {
      const count = Number(text);
      if (text === "auto") return text;
      if (!/^\d+$/.test(text) || count < 1 || count > MAX_WORKERS)
        throw new InvalidArgumentError(`"${text}" is neither "auto" nor a number from 1 to ${MAX_WORKERS}.`);
      return count;
    });
}

export interface LogOptions {
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

const LEVEL_ALIASES: Readonly<Record<string, LogLevel>> = {
  panic: "error",
  fatal: "error",
  warning: "warn",
  trace: "debug",
};

export function addLogOptions(command: Command): Command {
  return command
    .addOption(
      setting("--log-level <level>", "debug, info, warn or error")
        .default("info")
        .argParser((text: string): LogLevel => {
          const lower = text.toLowerCase();
          const level = LEVEL_ALIASES[lower] ?? lower;
          const known = LOG_LEVELS.find((each) => each === level);
          if (known === undefined) throw new InvalidArgumentError(`"${text}" is none of ${LOG_LEVELS.join(", ")}.`);
          return known;
        }),
    )
    .addOption(
      setting("--log-format <format>", "text (the original's name for it, common, is read too) or json")
        .default("text")
        .argParser((text: string): LogFormat => {
          if (text === "json") return "json";
          if (text === "text" || text === "common") return "text";
          throw new InvalidArgumentError(`"${text}" is none of text, json.`);
        }),
    );
}

export function logOf({ logLevel, logFormat }: LogOptions): Log {
  return processLog({
    level: logLevel,
    format: logFormat,
    wall: () => systemClock.wall(),
    write: (line) => process.stderr.write(line),
  });
}
