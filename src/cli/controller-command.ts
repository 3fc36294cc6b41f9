import { readFile } from "node:fs/promises";
import type { AccessMode, TrafficType } from "../config/mesh-config.ts";
import type { DnsMode } from "../controller/dns-change.ts";
import { MeshController } from "../controller/mesh-controller.ts";
import type { TraefikEngineOptions } from "../controller/traefik-engine.ts";
import { clusterDomainOfResolvConf } from "../coredns/cluster-domain.ts";
import { systemClock } from "../model/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { type ClusterOptions, connect } from "./cluster-connection.ts";
import { type LogOptions, logOf, type ProxyEngine } from "./cluster-options.ts";
import { EXIT_FINE } from "./exit-codes.ts";
import { stopSignals } from "./stop-signals.ts";

export interface ControllerOptions extends ClusterOptions, LogOptions {
  readonly namespace: string;
  readonly podName: string;
  readonly acl?: AccessMode;
  readonly defaultMode: TrafficType;
  readonly watchNamespaces: readonly string[];
  readonly ignoreNamespaces: readonly string[];
  readonly meshDomains: readonly string[];
  readonly clusterDomain?: string;
  readonly dnsMode: DnsMode;
  readonly tlsDir: string;
  readonly tokenFile: string;
  readonly address: string;
  readonly apiPort: number;
  readonly configPort: number;
  readonly healthPort: number;
  readonly smiMetricsPort: number;
  readonly proxyEngine: ProxyEngine;
  readonly limitHttpPort: number;
  readonly limitTcpPort: number;
  readonly limitUdpPort: number;
  readonly dnsPort: number;
}

/** How often the certificate's files are looked at. */
const CERTIFICATE_MS = 60_000;

/** Runs until it is told to stop. */
export async function runController(options: ControllerOptions, version: string): Promise<number> {
  const stop = stopSignals();
  const log = logOf(options);
  log.info("controller starting", { version, namespace: options.namespace, pod: options.podName });
  const api = await connect(options, version, log);
  const certificate = await readCertificate(options.tlsDir);
  const clusterDomain = options.clusterDomain ?? (await ownClusterDomain());
  const controller = new MeshController({
    version,
    api,
    clock: systemClock,
    random: Math.random,
    log,
    namespace: options.namespace,
    podName: options.podName,
    accessControl: options.acl ?? "off",
    defaultTrafficType: options.defaultMode,
    watchNamespaces: options.watchNamespaces,
    ignoreNamespaces: options.ignoreNamespaces,
    meshDomains: options.meshDomains,
    dnsMode: options.dnsMode,
    ...(clusterDomain === undefined ? {} : { clusterDomain }),
    certificate,
    address: options.address,
    peerCredentials: () => readPeerCredentials(options),
    adminPort: options.apiPort,
    configPort: options.configPort,
    healthPort: options.healthPort,
    ...(options.proxyEngine === "traefik" ? { traefik: traefikOf(options) } : {}),
    ...(options.smiMetricsPort === 0 ? {} : { smiMetricsPort: options.smiMetricsPort }),
  });
  await controller.start();
  const renewal = setInterval(() => void renew(controller, options.tlsDir, log), CERTIFICATE_MS);
  await stop.asked;
  log.info("controller stopping");
  clearInterval(renewal);
  await controller.stop();
  api.close();
  stop.release();
  return EXIT_FINE;
}

function traefikOf({ limitHttpPort, limitTcpPort, limitUdpPort, dnsPort }: ControllerOptions): TraefikEngineOptions {
  return { limits: { http: limitHttpPort, tcp: limitTcpPort, udp: limitUdpPort }, dnsPort };
}

/** As the kubelet told this Pod; undefined outside a cluster. */
async function ownClusterDomain(): Promise<string | undefined> {
  return clusterDomainOfResolvConf(await readFile("/etc/resolv.conf", "utf8").catch(() => ""));
}

async function readCertificate(folder: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = await Promise.all([readFile(`${folder}/tls.crt`, "utf8"), readFile(`${folder}/tls.key`, "utf8")]);
  return { cert, key };
}

/** Both are renewed while the controller runs. */
async function readPeerCredentials({ tlsDir, tokenFile }: ControllerOptions): Promise<{ ca: string; token: string }> {
  const [ca, token] = await Promise.all([readFile(`${tlsDir}/ca.crt`, "utf8"), readFile(tokenFile, "utf8")]);
  return { ca, token: token.trim() };
}

async function renew(controller: MeshController, folder: string, log: Log): Promise<void> {
  try {
    const { cert, key } = await readCertificate(folder);
    controller.setCertificate(cert, key);
  } catch (error) {
    log.warn("the certificate could not be read anew; the one before is used", { error: (error as Error).message });
  }
}
