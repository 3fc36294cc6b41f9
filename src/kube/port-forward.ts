/**
 * Connections to ports of Pods by way of the API server, as kubectl port-forward makes them: they end at the Pod's own
 * loopback, and need no ingress and no other right than `create` on `pods/portforward`.
 */
import { type Duplex, duplexPair, PassThrough } from "node:stream";
import type { KubeConfig } from "@kubernetes/client-node";
import type { ApiAccess } from "./api-access.ts";

export interface PodPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

/** What is used of the library's WebSocket, whose types are another package's. */
interface ForwardingSocket {
  /** Without waiting for the other side. */
  terminate(): void;
  addEventListener(event: "close" | "error", listener: (event: { readonly message?: string }) => void): void;
}

/**
 * @returns a stream whose bytes are the Pod's; it is destroyed with an error where the Pod's side says that it cannot
 * @throws Error saying which Pod, and why there is no way to it
 */
export async function forwardPort(access: ApiAccess, { namespace, pod, port }: PodPort): Promise<Duplex> {
  // Whoever forwards no port never pays for the client library.
  const library = await import("@kubernetes/client-node");
  const what = `port ${port} of ${namespace}/${pod}`;
  const [near, far] = duplexPair();
  const errors = new PassThrough();
  let socket: ForwardingSocket;
  try {
    const config = await kubeConfigOf(access, new library.KubeConfig());
    const path = [namespace, pod].map(encodeURIComponent) as [string, string];
    const forward = new library.PortForward(config, true);
    socket = (await forward.portForward(...path, [port], far, errors, far)) as ForwardingSocket;
  } catch (error) {
    // The library rejects with an event of its WebSocket.
    throw new Error(`${what}: ${(error as { message?: string }).message || "the API server cannot be reached"}`);
  }
  let told = "";
  errors.on("data", (bytes: Buffer) => {
    told ||= bytes.toString("utf8").trim();
    near.destroy(new Error(`${what}: ${told}`));
  });
  // The close event follows every error and says enough.
  socket.addEventListener("error", () => {});
  socket.addEventListener("close", () => far.end());
  near.on("close", () => {
    far.destroy();
    socket.terminate();
  });
  return near;
}

/** The same credentials, in the library's form. */
async function kubeConfigOf({ server, tls, authorization }: ApiAccess, config: KubeConfig): Promise<KubeConfig> {
  const { ca, cert, key, rejectUnauthorized, servername } = tls;
  const [scheme = "", value = ""] = ((await authorization()) ?? "").split(" ", 2);
  const [username = "", ...password] = Buffer.from(value, "base64").toString().split(":");
  const cluster = {
    name: "cluster",
    server,
    skipTLSVerify: rejectUnauthorized === false,
    ...(ca === undefined ? {} : { caData: base64(ca) }),
    ...(servername === undefined ? {} : { tlsServerName: servername }),
  };
  const user = {
    name: "user",
    ...(cert === undefined ? {} : { certData: base64(cert) }),
    ...(key === undefined ? {} : { keyData: base64(key) }),
    ...(scheme === "Bearer" ? { token: value } : {}),
    ...(scheme === "Basic" ? { username, password: password.join(":") } : {}),
  };
  config.loadFromClusterAndUser(cluster, user);
  return config;
}

function base64(pem: Buffer | string): string {
  return Buffer.from(pem).toString("base64");
}
