import { InvalidArgumentError, type Option } from "commander";
import type { AccessMode, TrafficType } from "../config/mesh-config.ts";
import { setting } from "./settings.ts";

const ACCESS_MODES: Record<string, AccessMode> = { off: "off", false: "off", audit: "audit", on: "on", true: "on" };

export function fileOption(purpose: string): Option {
  return setting(
    "-f, --file <path>",
    `${purpose}: a file, a folder with everything in it, or - for standard input; may be repeated`,
  ).argParser((path: string, previous: string[] | undefined) => {
    if (path === "") throw new InvalidArgumentError("It is empty.");
    return [...(previous ?? []), path];
  });
}

/** @param otherwise what holds where it is not given */
export function aclOption(otherwise = "off"): Option {
  const option = setting(
    "--acl [mode]",
    `access control: off, audit (lets through and reports what would be denied) or on; without it ${otherwise}`,
  );
  // By itself it is on, as in Traefik Mesh.
  return option.preset("on").argParser((text: string) => {
    const mode = ACCESS_MODES[text.toLowerCase()];
    if (mode === undefined) throw new InvalidArgumentError(`"${text}" is none of off, audit, on.`);
    return mode;
  });
}

export function defaultModeOption(): Option {
  return setting("--default-mode <type>", "traffic type of Services without annotation: http, tcp or udp")
    .default("http" satisfies TrafficType)
    .argParser((text: string): TrafficType => {
      if (text === "http" || text === "tcp" || text === "udp") return text;
      throw new InvalidArgumentError(`"${text}" is none of http, tcp, udp.`);
    });
}

export interface ListenAddress {
  readonly address: string;
  readonly port: number;
}

export function listenOption(flag: string, purpose: string, fallback: string): Option {
  return setting(`--${flag} <address:port>`, `${purpose} (port 0: any free one)`)
    .default(parseListen(fallback), fallback)
    .argParser(parseListen);
}

function parseListen(text: string): ListenAddress {
  const match = /^(?:(\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]|localhost)?:)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65535)
    throw new InvalidArgumentError(`"${text}" is not ADDRESS:PORT, such as 127.0.0.1:15353.`);
  const host = match[1] ?? "127.0.0.1";
  const address = host === "localhost" ? "127.0.0.1" : host.replace(/^\[|\]$/g, "");
  return { address, port };
}
