/** Where the API server is and as whom we speak to it. */
import { readFile } from "node:fs/promises";
import type { Environment } from "./environment.ts";

export interface ApiAccess {
  /** `https://10.96.0.1:443` */
  readonly server: string;
  readonly tls: {
    readonly ca?: Buffer | string;
    readonly cert?: Buffer | string;
    readonly key?: Buffer | string;
    readonly rejectUnauthorized?: boolean;
    readonly servername?: string;
  };
  /** The Authorization field of a request made now; tokens change while a process runs. */
  authorization(): Promise<string | undefined>;
  /** The namespace that it speaks from, where that is known. */
  readonly namespace?: string;
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
/** The kubelet renews the token in its file long before it ends; the file is read again this often. */
const TOKEN_READ_MS = 30_000;

export interface AccessOptions {
  /** Path of a kubeconfig; outweighs the Pod's own ServiceAccount. */
  readonly kubeconfig?: string;
  readonly environment: Environment;
}

/**
 * The kubeconfig that was named; else the Pod's ServiceAccount; else `KUBECONFIG` or `~/.kube/config`.
 * @throws Error saying what was looked for and not found
 */
export async function findAccess({ kubeconfig, environment }: AccessOptions): Promise<ApiAccess> {
  const host = environment["KUBERNETES_SERVICE_HOST"];
  const port = environment["KUBERNETES_SERVICE_PORT"];
  if (kubeconfig === undefined && host !== undefined && port !== undefined) return podAccess(host, port);
  // A process in a Pod never pays for the client library, which alone costs some 80 MB.
  const { kubeconfigAccess } = await import("./kubeconfig-access.ts");
  return kubeconfigAccess(kubeconfig);
}

async function podAccess(host: string, port: string): Promise<ApiAccess> {
  const [ca, namespace] = await Promise.all([
    readFile(`${SERVICE_ACCOUNT}/ca.crt`),
    readFile(`${SERVICE_ACCOUNT}/namespace`, "utf8").then(
      (text) => text.trim(),
      () => undefined,
    ),
  ]);
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    tls: { ca },
    authorization: tokenFromFile(`${SERVICE_ACCOUNT}/token`, () => performance.now()),
    ...(namespace === undefined ? {} : { namespace }),
  };
}

/** @returns a function that gives `Bearer …` of the file's content, read anew every half minute */
function tokenFromFile(path: string, now: () => number): () => Promise<string> {
  let readAt = Number.NEGATIVE_INFINITY;
  let value = "";
  return async () => {
    if (now() - readAt > TOKEN_READ_MS) {
      value = `Bearer ${(await readFile(path, "utf8")).trim()}`;
      readAt = now();
    }
    return value;
  };
}
