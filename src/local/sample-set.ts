/** The Pods of known sample images, served on their addresses: started when they come, drained when they go. */
import type { MeshConfig } from "../config/mesh-config.ts";
import type { Clock } from "../model/clock.ts";
import { type Container, keyOf, type Pod } from "../model/objects.ts";
import type { Problem } from "../model/problems.ts";
import type { Log } from "../telemetry/log.ts";
import { planSamples, sampleNotServed } from "./image-problems.ts";
import type { SampleSpec } from "./samples/sample-images.ts";
import { type RunningSample, startSample } from "./samples/samples.ts";

export interface Substitute {
  readonly address: string;
  readonly port: number;
  readonly boundPort: number;
  readonly reason: string;
}

interface Served {
  readonly identity: string;
  readonly samples: readonly RunningSample[];
  readonly problems: readonly Problem[];
}

export class SampleSet {
  readonly #served = new Map<string, Served>();
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** What could not be served as its Pod asks, and Pods behind a Service that nobody serves. */
  get problems(): readonly Problem[] {
    return [...this.#served.values()].flatMap((served) => served.problems);
  }

  /** Where a Pod is really served, by `address:port` that could not be bound. */
  readonly substitutes = new Map<string, Substitute>();

  /**
   * Starts what is new. @returns the stop of what is gone or changed, to be called when no call goes there any more
   * @param backing keys of Pods that some Service's slice names
   */
  async update(pods: Iterable<Pod>, backing: ReadonlySet<string>): Promise<() => Promise<void>> {
    const gone: Served[] = [];
    const wanted = new Map<string, Pod>();
    for (const pod of pods) if (isServed(pod)) wanted.set(keyOf(pod.meta), pod);
    for (const [key, served] of this.#served) {
      const pod = wanted.get(key);
      if (pod !== undefined && identityOf(pod, backing.has(key)) === served.identity) continue;
      this.#served.delete(key);
      gone.push(served);
    }
    const stop = async () => {
      await Promise.all(gone.flatMap((served) => served.samples.map((sample) => sample.close())));
    };
    // A Pod whose containers changed in place keeps its address: the old one must leave the port first.
    const replaced = gone.length > 0 && [...wanted.keys()].some((key) => !this.#served.has(key));
    if (replaced) await stop();
    await Promise.all(
      [...wanted].map(async ([key, pod]) => {
        if (!this.#served.has(key)) this.#served.set(key, await this.#start(pod, backing.has(key)));
      }),
    );
    return replaced ? async () => {} : stop;
  }

  /** Endpoints of samples that could not have their port are dialled where they are. */
  dialled(config: MeshConfig): MeshConfig {
    const { substitutes } = this;
    if (substitutes.size === 0) return config;
    const servicePorts: MeshConfig["servicePorts"] = {};
    for (const [key, servicePort] of Object.entries(config.servicePorts)) {
      const endpoints: typeof servicePort.endpoints = {};
      for (const [address, endpoint] of Object.entries(servicePort.endpoints)) {
        const dialPort = substitutes.get(address)?.boundPort;
        endpoints[address] = dialPort === undefined ? endpoint : { ...endpoint, dialPort };
      }
      servicePorts[key] = { ...servicePort, endpoints };
    }
    return { ...config, servicePorts };
  }

  async close(): Promise<void> {
    const served = [...this.#served.values()];
    this.#served.clear();
    await Promise.all(served.flatMap((each) => each.samples.map((sample) => sample.close())));
  }

  async #start(pod: Pod, backing: boolean): Promise<Served> {
    const samples: RunningSample[] = [];
    const plan = planSamples(pod, backing);
    const problems = [...plan.problems];
    for (const { spec, container } of plan.specs) {
      try {
        samples.push(await this.#startSample(pod, spec));
      } catch (error) {
        problems.push(sampleNotServed(pod, container, (error as Error).message));
      }
    }
    return { identity: identityOf(pod, backing), samples, problems };
  }

  #startSample(pod: Pod, spec: SampleSpec): Promise<RunningSample> {
    const address = pod.ips[0] as string;
    const { port } = spec;
    this.substitutes.delete(`${address}:${port}`);
    return startSample(spec, {
      podName: pod.meta.name,
      address,
      log: this.#log,
      clock: this.#clock,
      onSubstitute: (boundPort, reason) =>
        this.substitutes.set(`${address}:${port}`, { address, port, boundPort, reason }),
    });
  }
}

/** How many sockets the samples of these Pods listen on. */
export function sampleSockets(pods: Iterable<Pod>): number {
  let sockets = 0;
  for (const pod of pods) if (isServed(pod)) sockets += planSamples(pod, false).specs.length;
  return sockets;
}

const isServed = (pod: Pod) => pod.phase === "Running" && pod.ips.length > 0;

/** Everything that a running sample depends on. */
function identityOf(pod: Pod, backing: boolean): string {
  const containers = pod.containers.map(({ image, args, env, command }: Container) => ({ image, args, env, command }));
  return JSON.stringify([pod.ips, backing, containers]);
}
