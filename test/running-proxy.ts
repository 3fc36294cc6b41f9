/** `tulle proxy` as processes, with a scripted controller, for tests that make real calls. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { MeshConfig } from "../src/config/mesh-config.ts";
import { seal } from "../src/config/snapshot.ts";
import { ConfigServer } from "../src/config-stream/config-server.ts";
import { systemClock } from "../src/model/clock.ts";
import { CERTIFICATE, KEY } from "../src/model/testkit/certificate.ts";
import { freePorts } from "../src/model/testkit/free-ports.ts";
import { silentLog } from "../src/telemetry/log.ts";

const TULLE = fileURLToPath(new URL("../bin/tulle", import.meta.url));

export interface ProxyPorts {
  readonly dns: number;
  readonly health: number;
  readonly metrics: number;
  readonly admin: number;
}

/** A controller, and the proxies that follow it from one state folder. */
export class ProxyHost {
  readonly ports: ProxyPorts;
  readonly #folder = mkdtempSync(join(tmpdir(), "tulle-proxy-host-"));
  readonly #controller: ConfigServer;
  readonly #proxies: RunningProxy[] = [];
  #controllerPort = 0;
  #onStatus = () => {};

  private constructor(ports: ProxyPorts) {
    this.ports = ports;
    this.#controller = new ConfigServer({
      cert: CERTIFICATE,
      key: KEY,
      clock: systemClock,
      log: silentLog,
      authenticate: async () => ({ role: "proxy", pod: "p", node: "n" }),
      onStatus: () => this.#onStatus(),
    });
    writeFileSync(join(this.#folder, "ca.crt"), CERTIFICATE);
    writeFileSync(join(this.#folder, "token"), "token");
  }

  static async open(): Promise<ProxyHost> {
    const [dns = 0, health = 0, metrics = 0, admin = 0] = await freePorts(4);
    const host = new ProxyHost({ dns, health, metrics, admin });
    host.#controllerPort = await host.#controller.listen("localhost", 0);
    return host;
  }

  publish(config: MeshConfig): void {
    this.#controller.publish(seal(config));
  }

  /** Waits until as many proxies as that have the last configuration in force, and all of their ports open. */
  async inForceOn(proxies: number): Promise<void> {
    const { version } = this.#controller.published ?? { version: "" };
    const has = (each: { version: string; closedEntrypoints: readonly string[] }) =>
      each.version === version && each.closedEntrypoints.length === 0;
    while (this.#controller.status().filter(has).length < proxies)
      await new Promise<void>((resolve) => {
        this.#onStatus = resolve;
      });
  }

  /** Waits until a proxy has saved its configuration, and deletes that. */
  async forgetSaved(): Promise<void> {
    const saved = join(this.#folder, "mesh-config.json");
    while (!existsSync(saved)) await nextTurn();
    rmSync(saved);
  }

  start(flags: Readonly<Record<string, string | number | true>>): RunningProxy {
    const { dns, health, metrics, admin } = this.ports;
    const all: Record<string, string | number | true> = {
      controller: `localhost:${this.#controllerPort}`,
      "ca-file": join(this.#folder, "ca.crt"),
      "token-file": join(this.#folder, "token"),
      "state-dir": this.#folder,
      address: "127.0.0.1",
      "dns-port": dns,
      "health-port": health,
      "metrics-port": metrics,
      "admin-port": admin,
      ...flags,
    };
    const args = Object.entries(all).map(([name, value]) => (value === true ? `--${name}` : `--${name}=${value}`));
    const proxy = new RunningProxy(
      spawn(process.execPath, [TULLE, "proxy", ...args], { stdio: ["ignore", "ignore", "pipe"] }),
    );
    this.#proxies.push(proxy);
    return proxy;
  }

  async close(): Promise<void> {
    for (const proxy of this.#proxies) await proxy.kill();
    await this.#controller.close();
    rmSync(this.#folder, { recursive: true });
  }
}

export class RunningProxy {
  readonly process: ChildProcess;
  log = "";
  #onLog = () => {};

  constructor(child: ChildProcess) {
    this.process = child;
    child.stderr?.on("data", (bytes) => {
      this.log += bytes;
      this.#onLog();
    });
    child.once("exit", () => this.#onLog());
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** @throws Error where it ends before it says that */
  async says(text: string): Promise<void> {
    while (!this.log.includes(text)) {
      if (this.hasEnded) throw new Error(`the proxy ended; it said:\n${this.log}`);
      await new Promise<void>((resolve) => {
        this.#onLog = resolve;
      });
    }
  }

  /** @returns the exit code, or the signal that ended it */
  async ended(): Promise<number | string> {
    if (!this.hasEnded) await once(this.process, "exit");
    return this.process.exitCode ?? this.process.signalCode ?? "";
  }

  async kill(): Promise<void> {
    if (this.hasEnded) return;
    this.process.kill("SIGKILL");
    await once(this.process, "exit");
  }
}
