/**
 * The sample images that the examples run (traefik/whoami and its TCP and UDP sisters), served by this process on the
 * addresses of their Pods. They know the images' flags, ports and environment, and answer in their form.
 */
import type { Clock } from "../../model/clock.ts";
import type { Container } from "../../model/objects.ts";
import type { Log } from "../../telemetry/log.ts";
import { startHttpWhoami } from "./http-whoami.ts";
import { expandVariables, type KnownFlags, parseFlags } from "./image-flags.ts";
import { startTcpWhoami } from "./tcp-whoami.ts";
import { startUdpWhoami } from "./udp-whoami.ts";

export interface SampleSpec {
  readonly kind: "http" | "tcp" | "udp";
  /** As the container names it. */
  readonly image: string;
  /** 0: any, for tests. */
  readonly port: number;
  /** Printed as `Name:`; empty for none. */
  readonly name: string;
  /** Each request is logged. */
  readonly verbose: boolean;
  /** A TCP connection is greeted. */
  readonly banner: boolean;
  /** Why this container cannot be served here, as the start of a sentence. */
  readonly unusable?: string;
}

export interface SampleOptions {
  readonly podName: string;
  readonly podIp: string;
  readonly log: Log;
  readonly clock: Clock;
  /** Where the port cannot be bound, another is taken and said, instead of failing. */
  readonly substitutePort?: boolean;
}

export interface RunningSample {
  readonly protocol: "TCP" | "UDP";
  /** What is bound; another than the spec's only with `substitutePort`, or where that is 0. */
  readonly port: number;
  /** Accepts no more, lets answers under way finish for a bounded time, and leaves nothing behind. */
  close(): Promise<void>;
}

interface Image {
  readonly kind: SampleSpec["kind"];
  readonly program: string;
  readonly flags: KnownFlags;
  readonly defaultPort: number;
  readonly portVariable?: string;
  readonly nameVariable?: string;
}

const COMMON_FLAGS: KnownFlags = { port: "value", name: "value" };

const WHOAMI: Image = {
  kind: "http",
  program: "whoami",
  flags: { ...COMMON_FLAGS, verbose: "switch", cert: "value", key: "value", cacert: "value" },
  defaultPort: 80,
  portVariable: "WHOAMI_PORT_NUMBER",
  nameVariable: "WHOAMI_NAME",
};
const WHOAMI_TCP: Image = {
  kind: "tcp",
  program: "whoamitcp",
  flags: { ...COMMON_FLAGS, banner: "switch", verbose: "switch", cert: "value", key: "value" },
  defaultPort: 8080,
};
const WHOAMI_UDP: Image = {
  kind: "udp",
  program: "whoamiudp",
  flags: { ...COMMON_FLAGS, verbose: "switch" },
  defaultPort: 8080,
};

const IMAGES: Readonly<Record<string, Image>> = {
  "traefik/whoami": WHOAMI,
  "containous/whoami": WHOAMI,
  "traefik/whoamitcp": WHOAMI_TCP,
  "containous/whoamitcp": WHOAMI_TCP,
  "traefik/whoamiudp": WHOAMI_UDP,
  "containous/whoamiudp": WHOAMI_UDP,
};

/**
 * What to serve for this container, with the image's own flags and environment; undefined where the image is no known
 * sample, or is started with a command of something else.
 */
export function sampleFor(container: Container): SampleSpec | undefined {
  const repository = repositoryOf(container.image);
  const image = Object.hasOwn(IMAGES, repository) ? IMAGES[repository] : undefined;
  if (image === undefined) return undefined;
  const [program, ...commandArgs] = container.command;
  if (program !== undefined && program.split("/").at(-1) !== image.program) return undefined;
  const args = [...commandArgs, ...container.args].map((argument) => expandVariables(argument, container.env));
  const { values, refusal } = parseFlags(args, image.flags);
  const fromEnv = (variable: string | undefined) => (variable === undefined ? undefined : container.env[variable]);
  const portText = values.get("port") ?? (fromEnv(image.portVariable) || String(image.defaultPort));
  const port = parsePort(portText);
  const tls = ["cert", "key", "cacert"].find((flag) => values.get(flag));
  const unusable =
    refusal ??
    (port === undefined ? `port "${portText}" is no port number` : undefined) ??
    (tls === undefined ? undefined : `flag -${tls} asks for TLS, which samples on this machine do not speak`);
  return {
    kind: image.kind,
    image: container.image,
    port: port ?? image.defaultPort,
    name: values.get("name") ?? fromEnv(image.nameVariable) ?? "",
    verbose: isOn(values.get("verbose")),
    banner: isOn(values.get("banner")),
    ...(unusable === undefined ? {} : { unusable: `${container.image}: ${unusable}` }),
  };
}

const STARTERS = { http: startHttpWhoami, tcp: startTcpWhoami, udp: startUdpWhoami } as const;

/**
 * Serves a sample on its Pod's address until `close()`.
 * @throws an Error whose message names Pod, address, port and cause, as the start of a sentence; nothing is left open
 */
export async function startSample(spec: SampleSpec, options: SampleOptions): Promise<RunningSample> {
  const { podName, podIp, log } = options;
  if (spec.unusable !== undefined) throw new Error(spec.unusable);
  const start = STARTERS[spec.kind];
  let failure: NodeJS.ErrnoException | undefined;
  for (const port of candidatePorts(spec.port, options.substitutePort === true)) {
    try {
      const sample = await start(spec, port, options);
      if (failure !== undefined)
        log.warn(`Pod ${podName} is served on ${podIp}:${sample.port} instead of port ${spec.port}`, {
          cause: causeOf(failure),
        });
      return sample;
    } catch (error) {
      failure ??= error as NodeJS.ErrnoException;
    }
  }
  const cause = failure === undefined ? "no port to try" : causeOf(failure);
  throw new Error(`Pod ${podName} cannot be served on ${podIp}:${spec.port}: ${cause}`, { cause: failure });
}

/** 80 becomes 8080, as people expect; after that, any. */
function candidatePorts(port: number, substitute: boolean): readonly number[] {
  if (!substitute || port === 0) return [port];
  return port < 1024 ? [port, 8000 + port, 0] : [port, 0];
}

function causeOf(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "EACCES":
      return "ports below 1024 need a right that this process lacks (EACCES)";
    case "EADDRINUSE":
      return "another program or container has the port (EADDRINUSE)";
    case "EADDRNOTAVAIL":
      return "the address is not one of this machine (EADDRNOTAVAIL)";
    default:
      return error.message;
  }
}

/** `docker.io/traefik/whoami:v1.6.0@sha256:…` → `traefik/whoami` */
function repositoryOf(image: string): string {
  const [name = ""] = image.split("@");
  const colon = name.lastIndexOf(":");
  const untagged = colon > name.lastIndexOf("/") ? name.slice(0, colon) : name;
  return untagged.replace(/^(?:(?:index|registry-1)\.)?docker\.io\//, "");
}

/** `8080`, or `:8080` as Go's listeners have it. */
function parsePort(text: string): number | undefined {
  const digits = text.replace(/^:/, "");
  if (!/^\d{1,5}$/.test(digits)) return undefined;
  const port = Number(digits);
  return port >= 1 && port <= 65535 ? port : undefined;
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && ["1", "t", "true"].includes(value.toLowerCase());
}
