/**
 * What runs, for commands that look on: a `tulle local` by its admin API, or a cluster through one port-forward to any
 * controller. Where no controller answers, what the proxies can tell is asked of them.
 */
import { z } from "zod";
import { getJson } from "../admin/get-json.ts";
import { ReportSchema, readReport } from "../traffic/report-schema.ts";
import type { TrafficLook } from "../traffic/traffic-look.ts";
import type { ListenAddress } from "./common-options.ts";

export interface MeshView {
  /** @throws Error where nobody answers */
  traffic(): Promise<TrafficLook>;
  /** The configuration that the mesh serves. @throws Error where nobody answers */
  config(): Promise<unknown>;
  /** Keys of the service ports that the mesh serves. @throws Error where nobody answers, or not so */
  servicePorts(): Promise<string[]>;
  /** Pods that it knows as callers, as `namespace/pod`. @throws Error where nobody answers, or not so */
  callers(): Promise<string[]>;
  /** What the looks go to, and what does not answer: for a headline. */
  readonly says: string;
  close(): void;
}

export const ANSWER_MS = 5_000;
const TRAFFIC = "/api/traffic?by=proxy";
export const SERVICE_PORTS = "/api/service-ports";
export const CALLERS = "/api/callers";

/** @param cause says where it was looked */
export function noLocal(cause: Error): Error {
  return new Error(`no tulle local can be looked at (--admin): ${cause.message}; \`tulle local\` starts one`, {
    cause,
  });
}

export class LocalView implements MeshView {
  readonly says: string;
  readonly #host: string;
  readonly #port: number;
  readonly #now: () => number;
  readonly #signal: AbortSignal;

  /** @param signal ends what is being asked */
  constructor({ address, port }: ListenAddress, now: () => number, signal: AbortSignal) {
    this.says = `tulle local on ${address}:${port}`;
    this.#host = address;
    this.#port = port;
    this.#now = now;
    this.#signal = signal;
  }

  async traffic(): Promise<TrafficLook> {
    return readLook(await this.get(TRAFFIC), "tulle-local", this.#now());
  }

  config(): Promise<unknown> {
    return this.get("/api/config");
  }

  async servicePorts(): Promise<string[]> {
    return readNames(await this.get(SERVICE_PORTS));
  }

  async callers(): Promise<string[]> {
    return readNames(await this.get(CALLERS));
  }

  /** @throws Error that says where it was looked */
  async get(path: string): Promise<unknown> {
    const place = { host: this.#host, port: this.#port, path };
    try {
      return await getJson(place, AbortSignal.any([this.#signal, AbortSignal.timeout(ANSWER_MS)]));
    } catch (error) {
      throw noLocal(error as Error);
    }
  }

  close(): void {}
}

/** @throws Error where the answer is something else, as of an older version */
export function readNames(answer: unknown): string[] {
  return z.array(z.string()).parse(answer);
}

const ByProxySchema = z.object({ ageMs: z.number(), proxies: z.record(z.string(), ReportSchema) });

/**
 * @param answer of a controller by proxy, or a report alone
 * @param proxy whose report that is
 * @throws Error where it is neither
 */
export function readLook(answer: unknown, proxy: string, nowMs: number): TrafficLook {
  const byProxy = ByProxySchema.safeParse(answer);
  if (byProxy.success) {
    const { ageMs, proxies } = byProxy.data;
    return { atMs: nowMs - ageMs, reports: new Map(Object.entries(proxies)) };
  }
  return { atMs: nowMs, reports: new Map([[proxy, readReport(answer)]]) };
}
