/**
 * A stock Traefik in front of a loopback cluster's samples. It polls its configuration from the cluster's admin API, as on
 * a node from the controller's. Its entry points are free ports of an address that no other process of this machine has.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { stringify } from "yaml";
import { getJson } from "../../src/admin/get-json.ts";
import { CERTIFICATE } from "../../src/model/testkit/certificate.ts";
import { freePorts } from "../../src/model/testkit/free-ports.ts";
import type { TraefikConfiguration } from "../../src/traefik/traefik-configuration.ts";
import type { Place } from "../calls.ts";
import type { RunningMesh } from "../running-mesh.ts";
import type { Engine } from "./engine.ts";
import { clusterIPOf } from "./tulle-engine.ts";

/** Where it is looked for: TULLE_TRAEFIK, the PATH, and where the benchmark and the test cluster keep theirs. */
export function findTraefik(): string | undefined {
  const named = process.env["TULLE_TRAEFIK"];
  const candidates =
    named === undefined
      ? [
          ...(process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, "traefik")),
          ...["tulle-bench", "tulle-cluster"].map((kind) => join(homedir(), ".cache", kind, "bin/traefik")),
        ]
      : [named];
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** An address of this process: its number is its address, so that no two runs meet. */
function ownAddress(): string {
  return `127.${100 + ((process.pid >> 16) & 0x7f)}.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}`;
}

/** Between two looks at whether it is ready. */
const POLL_MS = 20;

interface Status {
  readonly status?: string;
}

interface Prepared {
  readonly folder: string;
  readonly address: string;
  /** By the name of the entry point. */
  readonly ports: ReadonlyMap<string, number>;
  readonly configuration: TraefikConfiguration;
}

export class TraefikEngine implements Engine {
  readonly name = "Traefik";
  readonly #mesh: RunningMesh;
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #address: string;
  /** By the name of the entry point. */
  readonly #ports: ReadonlyMap<string, number>;
  readonly #configuration: TraefikConfiguration;
  #log = "";
  #over = false;

  private constructor(mesh: RunningMesh, program: string, { folder, address, ports, configuration }: Prepared) {
    this.#mesh = mesh;
    this.#folder = folder;
    this.#address = address;
    this.#ports = ports;
    this.#configuration = configuration;
    // As docs/traefik.md says: trusted beside the system's.
    const env = { PATH: process.env["PATH"], SSL_CERT_DIR: join(folder, "trusted") };
    this.#process = spawn(program, [`--configFile=${join(folder, "static.yaml")}`], { env });
    this.#process.on("close", () => {
      this.#over = true;
    });
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.on("data", (bytes: Buffer) => {
        this.#log += bytes;
      });
  }

  /** @param mesh stays its owner's: closing the engine leaves it */
  static async start(mesh: RunningMesh, program: string): Promise<TraefikEngine> {
    const endpoint = `${mesh.ready.admin}/api/configuration/current`;
    const configuration = (await (await fetch(endpoint)).json()) as TraefikConfiguration;
    const address = ownAddress();
    const names = ["traefik", ...entryPointsOf(configuration)];
    const free = await freePorts(names.length, address);
    const ports = new Map(names.map((name, index) => [name, free[index] as number]));
    const folder = await mkdtemp(join(tmpdir(), "tulle-traefik-"));
    await trust(join(folder, "trusted"), CERTIFICATE);
    await writeFile(join(folder, "static.yaml"), stringify(staticConfiguration(address, ports, endpoint)));
    const engine = new TraefikEngine(mesh, program, { folder, address, ports, configuration });
    while ((await engine.#missing()).length > 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    return engine;
  }

  at(service: string, port: number): Place {
    const { http, tcp, udp } = this.#configuration;
    const router = Object.entries({ ...udp?.routers, ...tcp?.routers, ...http.routers }).find(
      ([name]) => name === `t-${service}-${port}` || name.startsWith(`t-${service}-${service}-${port}-traffic-split`),
    );
    // What has no router has no entry point either: nothing listens for UDP there.
    const entryPoint = router?.[1].entryPoints[0] ?? "traefik";
    return { host: this.#address, port: this.#ports.get(entryPoint) as number };
  }

  pod(name: string): string {
    return this.#mesh.pod(name);
  }

  clusterIP(service: string): string {
    return clusterIPOf(this.#mesh, service);
  }

  async close(): Promise<void> {
    if (!this.#over) {
      this.#process.kill("SIGKILL");
      await once(this.#process, "close");
    }
    await rm(this.#folder, { recursive: true });
  }

  /** Routers that are not in force yet. @throws where Traefik ended, or refuses any of them */
  async #missing(): Promise<string[]> {
    if (this.#over) throw new Error(`Traefik ended:\n${this.#log}`);
    const running = await this.#rawdata();
    const refused = Object.entries(running).filter(([, { status }]) => status !== undefined && status !== "enabled");
    if (refused.length > 0) throw new Error(`Traefik refuses ${JSON.stringify(refused)}\n${this.#log}`);
    return Object.keys(this.#configuration.http.routers).filter((name) => !(`${name}@http` in running));
  }

  async #rawdata(): Promise<Readonly<Record<string, Status>>> {
    const place = { host: this.#address, port: this.#ports.get("traefik") as number, path: "/api/rawdata" };
    try {
      const all = (await getJson(place, AbortSignal.timeout(5_000))) as Record<string, Record<string, Status>>;
      return { ...all["routers"], ...all["tcpRouters"], ...all["udpRouters"], ...all["services"] };
    } catch {
      // It does not listen yet.
      return {};
    }
  }
}

/** A folder as a ConfigMap is mounted, by two links. */
async function trust(folder: string, certificate: string): Promise<void> {
  await mkdir(join(folder, "..2026"), { recursive: true });
  await writeFile(join(folder, "..2026/ca.crt"), certificate);
  await symlink("..2026", join(folder, "..data"));
  await symlink("..data/ca.crt", join(folder, "ca.crt"));
}

function entryPointsOf({ http, tcp, udp }: TraefikConfiguration): string[] {
  const routers = [http.routers, tcp?.routers ?? {}, udp?.routers ?? {}].flatMap((each) => Object.values(each));
  return [...new Set(routers.flatMap(({ entryPoints }) => entryPoints))];
}

function staticConfiguration(address: string, ports: ReadonlyMap<string, number>, endpoint: string): object {
  const entryPoints = [...ports].map(([name, port]) => {
    const protocol = name.startsWith("udp-") ? "/udp" : "";
    const isHttp = name.startsWith("http-");
    return [
      name,
      {
        address: `${address}:${port}${protocol}`,
        ...(isHttp ? OF_HTTP : {}),
      },
    ];
  });
  return {
    entryPoints: Object.fromEntries(entryPoints),
    providers: { http: { endpoint, pollInterval: "50ms" }, providersThrottleDuration: "1ms" },
    api: { insecure: true, dashboard: false },
    ping: {},
    log: { level: "ERROR" },
    global: { checkNewVersion: false, sendAnonymousUsage: false },
  };
}

/** As docs/traefik.md says. */
const OF_HTTP = {
  forwardedHeaders: { insecure: true },
  http: { encodedCharacters: { allowEncodedSlash: false } },
  transport: { respondingTimeouts: { readTimeout: 0 } },
};
