/**
 * The sample images that the examples run (traefik/whoami and its TCP and UDP sisters), served by this process: on the
 * loopback cluster on the addresses of their Pods, in a container on all of its own. They answer in the images' form.
 */
import type { Clock } from "../../model/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import { bindCause } from "../bind-cause.ts";
import { startHttpWhoami } from "./http-whoami.ts";
import type { SampleSpec } from "./sample-images.ts";
import { startTcpWhoami } from "./tcp-whoami.ts";
import { startUdpWhoami } from "./udp-whoami.ts";
import { addressText } from "./whoami-text.ts";

export interface SampleOptions {
  /** In a container its hostname. */
  readonly podName: string;
  /** Where to listen; `::` is every address, those of IPv4 too. */
  readonly address: string;
  /** What it says its addresses are; by default a loopback and `address`, as a Pod of the loopback cluster has them. */
  readonly ownAddresses?: readonly string[];
  /** How long HTTP requests under way may take when it ends. */
  readonly requestDrainMs?: number;
  readonly log: Log;
  readonly clock: Clock;
  /** Where the port cannot be bound, another is taken and told here, instead of failing. */
  readonly onSubstitute?: (port: number, cause: string) => void;
}

export interface RunningSample {
  readonly protocol: "TCP" | "UDP";
  /** What is bound; another than the spec's only with `onSubstitute`, or where that is 0. */
  readonly port: number;
  /** Accepts no more, lets answers under way finish for a bounded time, and leaves nothing behind. */
  close(): Promise<void>;
}

const STARTERS = { http: startHttpWhoami, tcp: startTcpWhoami, udp: startUdpWhoami } as const;

/**
 * Serves a sample on its Pod's address until `close()`.
 * @throws an Error whose message names Pod, address, port and cause, as the start of a sentence; nothing is left open
 */
export async function startSample(spec: SampleSpec, options: SampleOptions): Promise<RunningSample> {
  const { podName, address, onSubstitute } = options;
  if (spec.unusable !== undefined) throw new Error(spec.unusable);
  const start = STARTERS[spec.kind];
  let failure: NodeJS.ErrnoException | undefined;
  for (const port of candidatePorts(spec.port, onSubstitute !== undefined)) {
    try {
      const sample = await start(spec, port, options);
      if (failure !== undefined) onSubstitute?.(sample.port, bindCause(failure));
      return sample;
    } catch (error) {
      failure ??= error as NodeJS.ErrnoException;
    }
  }
  const cause = failure === undefined ? "no port to try" : bindCause(failure);
  throw new Error(`Pod ${podName} cannot be served on ${addressText(address, spec.port)}: ${cause}`, {
    cause: failure,
  });
}

/** 80 becomes 8080, as people expect; after that, any. */
function candidatePorts(port: number, substitute: boolean): readonly number[] {
  if (!substitute || port === 0) return [port];
  return port < 1024 ? [port, 8000 + port, 0] : [port, 0];
}
