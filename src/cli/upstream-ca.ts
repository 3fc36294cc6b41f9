/** `--upstream-ca-file`: authorities that endpoints with scheme https may have their certificates from. */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Option } from "commander";
import { setting } from "./settings.ts";
import { UsageError } from "./usage-error.ts";

export interface UpstreamCaOptions {
  readonly upstreamCaFile?: string;
}

export function upstreamCaOption(): Option {
  return setting("--upstream-ca-file <file>", "PEM: whom to trust for scheme https, beside the public authorities");
}

/**
 * The option for a proxy.
 * @throws UsageError where the file cannot be read or has no certificate in it
 */
export async function readUpstreamCa({ upstreamCaFile }: UpstreamCaOptions): Promise<{ trustedCa?: string }> {
  if (upstreamCaFile === undefined) return {};
  try {
    const trustedCa = await readFile(upstreamCaFile, "utf8");
    if (!trustedCa.includes("-----BEGIN CERTIFICATE-----")) throw new Error("there is no PEM certificate in it");
    new X509Certificate(trustedCa);
    return { trustedCa };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(
      `--upstream-ca-file ${upstreamCaFile}: ${code === "ENOENT" ? "there is no such file" : message}`,
    );
  }
}
