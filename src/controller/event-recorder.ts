/**
 * Problems as Events on the objects concerned, so that `kubectl describe` shows them. One is written when a problem has
 * lasted for a while, and again when it is still there after an hour: rollouts pass through states that are no news.
 */
import { createHash } from "node:crypto";
import type { Api } from "../kube/api-client.ts";
import type { Clock, Timer } from "../model/clock.ts";
import { formatRef, type ObjectRef } from "../model/objects.ts";
import type { Problem } from "../model/problems.ts";
import type { Log } from "../telemetry/log.ts";

export interface EventRecorderOptions {
  readonly onWritten?: () => void;
  readonly api: Api;
  readonly clock: Clock;
  readonly log: Log;
  /** This replica's Pod. */
  readonly instance: string;
  /** API path and version of an object, or undefined for what no Event can be about. */
  locate(ref: ObjectRef): { readonly path: string; readonly apiVersion: string } | undefined;
}

export interface ClusterEvent {
  readonly type: "Normal" | "Warning";
  /** CamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** How long a problem must last to be told. */
const SETTLE_MS = 5_000;
/** API servers keep Events for an hour. */
const REPEAT_MS = 60 * 60 * 1000;
/** Events a second at most: a broken deployment of thousands must not flood the API server. */
const PER_SECOND = 5;
const MAX_MESSAGE = 1024;

interface Known {
  readonly problem: Problem;
  readonly since: number;
  toldAt: number;
}

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #known = new Map<string, Known>();
  #tick: Timer | undefined;
  #closed = false;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** The problems that there are now. */
  update(problems: readonly Problem[]): void {
    const now = this.#options.clock.now();
    const current = new Set<string>();
    for (const each of problems) {
      const id = `${formatRef(each.object)} ${each.field} ${each.code} ${each.message}`;
      current.add(id);
      if (!this.#known.has(id)) this.#known.set(id, { problem: each, since: now, toldAt: Number.NEGATIVE_INFINITY });
    }
    for (const id of this.#known.keys()) if (!current.has(id)) this.#known.delete(id);
    if (this.#known.size > 0) this.#schedule();
  }

  /** Tells of something that happened to an object, at once. Never throws. */
  async record(ref: ObjectRef, event: ClusterEvent): Promise<void> {
    const { api, log, clock, instance, locate } = this.#options;
    const place = locate(ref);
    if (place === undefined) return;
    try {
      const { metadata } = await api.request<{ metadata: { uid: string; resourceVersion: string } }>("GET", place.path);
      const at = new Date(clock.wall()).toISOString().replace(/\.\d+Z$/, "Z");
      const namespace = ref.namespace === "" ? "default" : ref.namespace;
      const hash = createHash("sha256").update(`${event.reason} ${event.message} ${at}`).digest("hex").slice(0, 16);
      const body = {
        apiVersion: "v1",
        kind: "Event",
        metadata: { name: `${ref.name.slice(0, 200)}.${hash}`, namespace },
        involvedObject: { ...ref, apiVersion: place.apiVersion, uid: metadata.uid },
        reason: event.reason,
        message: event.message.slice(0, MAX_MESSAGE),
        type: event.type,
        firstTimestamp: at,
        lastTimestamp: at,
        count: 1,
        source: { component: "tulle" },
        reportingComponent: "tulle",
        reportingInstance: instance,
      };
      await api.request("POST", `/api/v1/namespaces/${namespace}/events`, { body });
      this.#options.onWritten?.();
    } catch (error) {
      log.debug("an Event could not be written", { object: formatRef(ref), error: (error as Error).message });
    }
  }

  close(): void {
    this.#closed = true;
    this.#tick?.cancel();
    this.#known.clear();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#tick ??= this.#options.clock.after(1000, () => {
      this.#tick = undefined;
      this.#tell();
    });
  }

  #tell(): void {
    const now = this.#options.clock.now();
    let told = 0;
    for (const known of this.#known.values()) {
      if (now - known.since < SETTLE_MS || now - known.toldAt < REPEAT_MS) continue;
      known.toldAt = now;
      const { object, code, field, message } = known.problem;
      void this.record(object, {
        type: "Warning",
        reason: code,
        message: field === "" ? message : `${field}: ${message}`,
      });
      if (++told >= PER_SECOND) break;
    }
    if (this.#known.size > 0) this.#schedule();
  }
}
