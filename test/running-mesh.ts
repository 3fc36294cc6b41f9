/** A loopback cluster from manifests in a folder of its own, for tests that make real calls. */
import dgram from "node:dgram";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
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

const ANY = { address: "127.0.0.1", port: 0 };

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** `Hostname:` of whoami. */
  readonly hostname: string;
  /** `Name:` of whoami. */
  readonly name: string;
}

export interface CallOptions {
  readonly from?: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly agent?: http.Agent;
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

  get(service: string, options: CallOptions = {}): Promise<Answer> {
    const { host, port } = this.at(service, 80);
    const { from, method = "GET", path = "/", headers = {}, body, agent } = options;
    return new Promise((resolve, reject) => {
      const request = http.request(
        {
          host,
          port,
          method,
          path,
          headers,
          ...(from === undefined ? {} : { localAddress: this.pod(from) }),
          agent: agent ?? false,
        },
        (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (part: string) => {
            text += part;
          });
          response.on("error", reject);
          response.on("end", () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: text,
              hostname: /^Hostname: (.*)$/m.exec(text)?.[1] ?? "",
              name: /^Name: (.*)$/m.exec(text)?.[1] ?? "",
            }),
          );
        },
      );
      request.on("error", reject);
      request.end(body);
    });
  }

  /** What a TCP service answers to `WHO`; "reset" where it resets. */
  who(service: string, port: number, from?: string): Promise<string> {
    const at = this.at(service, port);
    return new Promise((resolve, reject) => {
      const socket = net.connect({ ...at, ...(from === undefined ? {} : { localAddress: this.pod(from) }) });
      let text = "";
      socket.on("connect", () => socket.write("WHO"));
      socket.on("data", (bytes) => {
        text += bytes.toString();
        if (text.includes("IP:")) socket.end();
      });
      socket.on("error", (error: NodeJS.ErrnoException) =>
        error.code === "ECONNRESET" || error.code === "EPIPE" ? resolve("reset") : reject(error),
      );
      socket.on("close", () => resolve(/^Hostname: (.*)$/m.exec(text)?.[1] ?? "closed"));
    });
  }

  /** What a UDP service answers to `WHO`; "silence" where nothing comes while `until` is answered by another. */
  udp(service: string, port: number, from: string, silence: Promise<unknown>): Promise<string> {
    const at = this.at(service, port);
    return new Promise((resolve, reject) => {
      const socket = dgram.createSocket("udp4");
      const end = (answer: string) => {
        socket.removeAllListeners();
        socket.close();
        resolve(answer);
      };
      socket.on("error", reject);
      socket.on("message", (bytes) => end(/^Hostname: (.*)$/m.exec(bytes.toString())?.[1] ?? bytes.toString()));
      socket.bind(0, this.pod(from), () => {
        socket.send("WHO", at.port, at.host);
        void silence.then(() => end("silence"));
      });
    });
  }

  async #load(update: Awaited<ReturnType<ManifestSource["load"]>>): Promise<void> {
    const known = update.problems.map(({ problem }) => problem);
    this.problems = [...known, ...(await this.cluster.update(this.#source.state, known))];
    this.#updates++;
    const wake = this.#wake;
    this.#wake = [];
    for (const each of wake) each();
  }
}
