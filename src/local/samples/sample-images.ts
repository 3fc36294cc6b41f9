/** The sample images as their containers are configured: each with its program, flags, environment and default port. */
import type { Container } from "../../model/objects.ts";
import { expandVariables, type KnownFlags, parseFlags } from "./image-flags.ts";

export interface SampleSpec {
  readonly kind: "http" | "tcp" | "udp";
  /** As the container names it, or the program where it has no container. */
  readonly image: string;
  /** 0: any. */
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

const PROGRAMS = [WHOAMI, WHOAMI_TCP, WHOAMI_UDP];

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
  return readSpec(image, container.image, args, container.env, 1);
}

/** The programs of the sample images. */
export const SAMPLE_PROGRAMS: readonly string[] = PROGRAMS.map(({ program }) => program);

/**
 * What to serve when a sample's program is started by itself, where port 0 is any; undefined where the program is none
 * of SAMPLE_PROGRAMS.
 */
export function sampleOfProgram(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): SampleSpec | undefined {
  const image = PROGRAMS.find((each) => each.program === program);
  return image === undefined ? undefined : readSpec(image, program, args, env, 0);
}

function readSpec(
  image: Image,
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  lowestPort: 0 | 1,
): SampleSpec {
  const { values, refusal } = parseFlags(args, image.flags);
  const fromEnv = (variable: string | undefined) => (variable === undefined ? undefined : env[variable]);
  const portText = values.get("port") ?? (fromEnv(image.portVariable) || String(image.defaultPort));
  const port = parsePort(portText, lowestPort);
  const tls = ["cert", "key", "cacert"].find((flag) => values.get(flag));
  const unusable =
    refusal ??
    (port === undefined ? `port "${portText}" is no port number` : undefined) ??
    (tls === undefined ? undefined : `flag -${tls} asks for TLS, which Tulle's samples do not speak`);
  return {
    kind: image.kind,
    image: name,
    port: port ?? image.defaultPort,
    name: values.get("name") ?? fromEnv(image.nameVariable) ?? "",
    verbose: isOn(values.get("verbose")),
    banner: isOn(values.get("banner")),
    ...(unusable === undefined ? {} : { unusable: `${name}: ${unusable}` }),
  };
}

/** `docker.io/traefik/whoami:v1.6.0@sha256:…` → `traefik/whoami` */
function repositoryOf(image: string): string {
  const [name = ""] = image.split("@");
  const colon = name.lastIndexOf(":");
  const untagged = colon > name.lastIndexOf("/") ? name.slice(0, colon) : name;
  return untagged.replace(/^(?:(?:index|registry-1)\.)?docker\.io\//, "");
}

/** `8080`, or `:8080` as Go's listeners have it. */
function parsePort(text: string, lowest: 0 | 1): number | undefined {
  const digits = text.replace(/^:/, "");
  if (!/^\d{1,5}$/.test(digits)) return undefined;
  const port = Number(digits);
  return port >= lowest && port <= 65535 ? port : undefined;
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && ["1", "t", "true"].includes(value.toLowerCase());
}
