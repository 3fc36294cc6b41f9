/** Credentials from a kubeconfig, exec plugins included. Loaded only outside a cluster. */
import type https from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import type { ApiAccess } from "./api-access.ts";

/** @throws Error naming the file that cannot be used */
export async function kubeconfigAccess(path: string | undefined): Promise<ApiAccess> {
  const config = new KubeConfig();
  if (path === undefined) config.loadFromDefault();
  else config.loadFromFile(path);
  const cluster = config.getCurrentCluster();
  // Where the library finds no file, it takes a port of this machine for the cluster.
  if (cluster === null || cluster.server === "" || cluster.server === "http://localhost:8080")
    throw new Error(
      `${path ?? "the kubeconfig"} names no cluster: set KUBECONFIG or --kubeconfig, and see "kubectl config current-context"`,
    );
  const options: https.RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  return {
    server: cluster.server,
    tls: {
      ...pick(options, "ca"),
      ...pick(options, "cert"),
      ...pick(options, "key"),
      ...(options.rejectUnauthorized === false ? { rejectUnauthorized: false } : {}),
      ...(cluster.tlsServerName === undefined ? {} : { servername: cluster.tlsServerName }),
    },
    async authorization() {
      // Exec plugins renew what has ended.
      const fresh: https.RequestOptions = {};
      await config.applyToHTTPSOptions(fresh);
      const headers = (fresh.headers ?? {}) as Record<string, unknown>;
      const found = headers["Authorization"] ?? headers["authorization"];
      if (typeof found === "string") return found;
      return fresh.auth ? `Basic ${Buffer.from(fresh.auth).toString("base64")}` : undefined;
    },
    ...(namespace === undefined ? {} : { namespace }),
  };
}

function pick<K extends "ca" | "cert" | "key">(options: https.RequestOptions, name: K): { [P in K]?: Buffer | string } {
  const value = options[name];
  return (value === undefined || value === null ? {} : { [name]: value }) as { [P in K]?: Buffer | string };
}
