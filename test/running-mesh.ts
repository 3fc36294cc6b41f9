/** A loopback cluster from manifests in a folder of its own, for tests that make real calls. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AccessMode } from "../src/config/mesh-config.ts";
import { LoopbackCluster, type LoopbackOptions } from "../src/local/loopback-cluster.ts";
import type { ReadyLine } from "../src/local/ready-line.ts";
import { LoopbackAddresses } from "../src/manifests/loopback-addresses.ts";
import { ManifestSource } from "../src/manifests/manifest-source.ts";
import { systemClock } from "../src/model/clock.ts";
import type { Problem } from "../src/model/problems.ts";
import { silentLog } from "../src/telemetry/log.ts";
import { type Answer, callHttp, callTcp, callUdp, type HttpCall } from "./calls.ts";

const ANY = { address: "127.0.0.1", port: 0 };

export interface CallOptions extends Omit<HttpCall, "localAddress"> {
  /** A Pod. */
  readonly from?: string;
}

export class RunningMesh {
  readonly cluster: LoopbackCluster;
  readonly folder: string;
  readonly #source: ManifestSource;
  readonly #abort = new AbortController();
  problems: readonly Problem[] = [];
  #updates = 0;
  #wake: (() => void)[] = [];

  private constructor(folder: string, accessControl: AccessMode, options: Partial<LoopbackOptions>) {
    const addresses = new LoopbackAddresses();
    this.folder = folder;
    this.#source = new ManifestSource({ paths: [folder], addresses, clock: systemClock, log: silentLog });
    this.cluster = new LoopbackCluster({
      version: "0.0.0",
      accessControl,
      defaultTrafficType: "http",
      addresses,
      dns: ANY,
      socks: ANY,
      admin: ANY,
      clock: systemClock,
      random: Math.random,
      log: silentLog,
      ...options,
    });
  }

  /** @param manifests file name → text */
  static async start(
    manifests: Record<string, string>,
    accessControl: AccessMode = "off",
    options: Partial<LoopbackOptions> = {},
  ): Promise<RunningMesh> {
    const folder = await mkdtemp(join(tmpdir(), "tulle-test-"));
    for (const [name, text] of Object.entries(manifests)) await writeFile(join(folder, name), text);
    const mesh = new RunningMesh(folder, accessControl, options);
    await mesh.cluster.listen();
    await mesh.#load(await mesh.#source.load());
    mesh.#source.watch((update) => mesh.#load(update), mesh.#abort.signal);
    return mesh;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.cluster.close();
    await rm(this.folder, { recursive: true });
  }

  get ready(): ReadyLine {
    return this.cluster.readyLine();
  }

  /** Writes a file (or removes it, for undefined) and waits until what it says is in force. */
  async edit(name: string, text: string | undefined): Promise<void> {
    const before = this.#updates;
    const path = join(this.folder, name);
    await (text === undefined ? rm(path) : writeFile(path, text));
    while (this.#updates === before) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  codes(): string[] {
    return this.problems.map(({ code, object }) => `${code} ${object.kind} ${object.name}`);
  }

  pod(name: string): string {
    const pod = this.ready.pods.find((each) => each.name === name || each.name.startsWith(`${name}-`));
    if (pod === undefined) throw new Error(`no Pod ${name}`);
    return pod.ip;
  }

  /** Mesh address of a service and the port to dial. */
  at(service: string, port: number): { host: string; port: number } {
    const found = this.ready.services.find((each) => each.name === service);
    const ports = found?.ports.find((each) => each.port === port);
    if (found === undefined || ports === undefined) throw new Error(`no mesh service ${service}:${port}`);
    return { host: found.meshIP, port: ports.boundPort ?? ports.port };
  }

  get(service: string, { from, ...call }: CallOptions = {}): Promise<Answer> {
    return callHttp(this.at(service, 80), { ...call, ...(from === undefined ? {} : { localAddress: this.pod(from) }) });
  }

  /** What a TCP service answers to `WHO`; "reset" where it resets. */
  who(service: string, port: number, from?: string): Promise<string> {
    return callTcp(this.at(service, port), from === undefined ? undefined : this.pod(from));
  }

  /** What a UDP service answers to `WHO`; "silence" where nothing comes while `until` is answered by another. */
  udp(service: string, port: number, from: string, silence: Promise<unknown>): Promise<string> {
    return callUdp(this.at(service, port), this.pod(from), silence);
  }

  async #load(update: Awaited<ReturnType<ManifestSource["load"]>>): Promise<void> {
    const found = [...update.problems, ...(await this.cluster.update(this.#source.state, update.problems))];
    this.problems = found.map(({ problem }) => problem);
    this.#updates++;
    const wake = this.#wake;
    this.#wake = [];
    for (const each of wake) each();
  }
}
