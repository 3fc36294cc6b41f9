/**
 * ClusterState from the API server. Nothing is reported before every resource has been listed once: a mesh made of half
 * the objects would refuse what the other half allows.
 */
import type { Clock, Random, Timer } from "../model/clock.ts";
import { type ClusterDelta, ClusterState } from "../model/cluster-state.ts";
import { decodeObject } from "../model/decode/decode-object.ts";
import { SMI_KINDS } from "../model/decode/smi-kinds.ts";
import { type Kind, keyOf, type MeshObject, type ObjectRef } from "../model/objects.ts";
import { pause } from "../model/pause.ts";
import { type Problem, problem } from "../model/problems.ts";
import type { Log } from "../telemetry/log.ts";
import type { Api } from "./api-client.ts";
import { type RawObject, Reflector, type ReflectorChange, type Resource } from "./reflector.ts";
import { CORE_RESOURCES, discoverSmi } from "./resources.ts";
import { trim } from "./trim.ts";
import { writtenVersion } from "./written-version.ts";

export interface KubeSourceOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  /**
   * With each change, after the first complete one. Several events that come together are one change; where nothing but
   * problems has changed it is an empty one.
   */
  onChange(delta: ClusterDelta): void;
  /** `stale` has changed. */
  onStale?(stale: boolean): void;
}

/** Without any open watch for so long, the state may be long past; an API server that restarts takes less. */
const STALE_MS = 30_000;
/** How often the server is asked which of SMI's resources it has. */
const DISCOVERY_MS = 10_000;

interface Running {
  readonly resource: Resource;
  readonly reflector: Reflector;
  readonly controller: AbortController;
  /** Keys that it has reported; those of a version before it that it does not report are removed. */
  readonly keys: Set<string>;
}

export class KubeSource {
  readonly state = new ClusterState();
  readonly #options: KubeSourceOptions;
  readonly #running = new Map<Kind, Running>();
  /** Problems of objects that could not be read, by kind and key. */
  readonly #problems = new Map<string, readonly Problem[]>();
  #unknownVersions: readonly Problem[] = [];
  /** Other problems than were told. */
  #problemsChanged = false;
  #put = new Map<string, MeshObject>();
  #removed = new Map<string, ObjectRef>();
  #discovered = false;
  #synced = false;
  /** The first change, even an empty one, tells that the state is complete. */
  #reported = false;
  #flushing = false;
  #discoveryError = "";
  /** Runs while no watch is open. */
  #untilStale: Timer | undefined;
  #stale = false;
  /** Milliseconds of the clock at the last event that came. */
  lastEventAt = 0;

  constructor(options: KubeSourceOptions) {
    this.#options = options;
  }

  /** Everything has been listed once. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Everything has been listed once, and for some time nothing has been watched. */
  get stale(): boolean {
    return this.#stale;
  }

  /** Of objects that the API server holds and the mesh cannot read. */
  get problems(): readonly Problem[] {
    return [...this.#unknownVersions, ...[...this.#problems.values()].flat()];
  }

  /** `group/version` in which the kind is read; undefined while the cluster has no such kind. */
  servedVersion(kind: Kind): string | undefined {
    return this.#running.get(kind)?.resource.apiVersion;
  }

  /** What keeps it from being complete or up to date, a sentence each; empty when all is well. */
  get troubles(): readonly string[] {
    const troubles = this.#discoveryError === "" ? [] : [this.#discoveryError];
    for (const { reflector } of this.#running.values())
      if (reflector.status.error !== "") troubles.push(reflector.status.error);
    return troubles;
  }

  /** Runs until the signal aborts. */
  async run(): Promise<void> {
    const { signal, clock } = this.#options;
    for (const resource of CORE_RESOURCES) this.#start(resource);
    while (!signal.aborted) {
      await this.#discover();
      await pause(clock, this.#discovered ? DISCOVERY_MS : 1000, signal);
    }
    this.#untilStale?.cancel();
  }

  async #discover(): Promise<void> {
    const { api, signal } = this.#options;
    try {
      const { resources, unknown } = await discoverSmi(api, signal);
      this.#discoveryError = "";
      for (const resource of resources) {
        const running = this.#running.get(resource.kind);
        if (running?.resource.path === resource.path) continue;
        running?.controller.abort();
        this.#start(resource, running?.keys);
      }
      const unknownVersions = unknown.map(({ group, versions }) =>
        problem(
          "UnknownVersion",
          { kind: "CustomResourceDefinition", namespace: "", name: group },
          "spec.versions",
          `the cluster serves ${versions.join(", ")} of it, none of which the mesh reads`,
        ),
      );
      if (!sameContent(unknownVersions, this.#unknownVersions)) this.#problemsChanged = true;
      this.#unknownVersions = unknownVersions;
      this.#discovered = true;
      this.#flushSoon();
    } catch (error) {
      if (!signal.aborted) this.#discoveryError = `discovery of SMI: ${(error as Error).message}`;
    }
  }

  #start(resource: Resource & { readonly kind: Kind }, before: ReadonlySet<string> = new Set()): void {
    const { api, clock, random, log, signal } = this.#options;
    const controller = new AbortController();
    const keys = new Set(before);
    const listed = new Set<string>();
    let synced = false;
    const reflector = new Reflector({
      api,
      resource,
      clock,
      random,
      log,
      signal: AbortSignal.any([signal, controller.signal]),
      onChange: (change) => {
        if (!synced) for (const { metadata } of change.put) listed.add(keyOfRaw(metadata));
        this.#take(resource.kind, change, keys);
      },
      onStatus: (status) => {
        this.#lookWhetherStale();
        if (!status.synced || synced) return;
        synced = true;
        for (const key of before) if (!listed.has(key)) this.#remove(resource.kind, key, keys);
        this.#flushSoon();
      },
      ...(SMI_KINDS[resource.kind] === undefined ? {} : { onAbsent: () => this.#gone(resource.kind, controller) }),
    });
    this.#running.set(resource.kind, { resource, reflector, controller, keys });
    void reflector.run();
  }

  #lookWhetherStale(): void {
    const { clock, signal } = this.#options;
    const watching = [...this.#running.values()].some(({ reflector }) => reflector.status.watching);
    if (watching) {
      this.#untilStale?.cancel();
      this.#untilStale = undefined;
      this.#setStale(false);
    } else if (this.#synced && !signal.aborted)
      this.#untilStale ??= clock.after(STALE_MS, () => this.#setStale(!signal.aborted));
  }

  #setStale(stale: boolean): void {
    if (this.#stale === stale) return;
    this.#stale = stale;
    this.#options.onStale?.(stale);
  }

  /** The definition was taken away. */
  #gone(kind: Kind, controller: AbortController): void {
    if (this.#running.get(kind)?.controller === controller) this.#running.delete(kind);
    controller.abort();
    this.#flushSoon();
  }

  #take(kind: Kind, { put, remove }: ReflectorChange, keys: Set<string>): void {
    this.lastEventAt = this.#options.clock.now();
    for (const ref of remove) this.#remove(kind, keyOf(ref), keys);
    for (const raw of put) {
      const key = keyOfRaw(raw.metadata);
      const decoded = decodeObject(inWrittenVersion(raw, kind));
      const id = `${kind} ${key}`;
      this.#note(id, decoded?.problems ?? []);
      const [object] = decoded?.objects ?? [];
      const kept = object === undefined ? undefined : trim(object);
      if (kept === undefined) this.#remove(kind, key, keys, true);
      else {
        keys.add(key);
        this.#removed.delete(id);
        this.#put.set(id, kept);
      }
    }
    this.#flushSoon();
  }

  #remove(kind: Kind, key: string, keys: Set<string>, keepProblems = false): void {
    const id = `${kind} ${key}`;
    keys.delete(key);
    if (!keepProblems) this.#note(id, []);
    this.#put.delete(id);
    const slash = key.indexOf("/");
    const ref = { kind, namespace: slash < 0 ? "" : key.slice(0, slash), name: key.slice(slash + 1) };
    this.#removed.set(id, ref);
  }

  #note(id: string, problems: readonly Problem[]): void {
    if (sameContent(problems, this.#problems.get(id) ?? [])) return;
    this.#problemsChanged = true;
    if (problems.length > 0) this.#problems.set(id, problems);
    else this.#problems.delete(id);
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  /** Without what says the same as before of all that the mesh reads: heartbeats of nodes, conditions of Pods. */
  #takeDelta(): ClusterDelta {
    const put = [...this.#put.values()].filter(
      (object) => !sameContent(this.state.get(object.kind, keyOf(object.meta)), object),
    );
    const remove = [...this.#removed.values()].filter(
      (ref) => this.state.get(ref.kind as Kind, keyOf(ref)) !== undefined,
    );
    this.#put = new Map();
    this.#removed = new Map();
    return { put, remove };
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#options.signal.aborted) return;
    if (!this.#synced) {
      if (!this.#discovered || ![...this.#running.values()].every(({ reflector }) => reflector.status.synced)) return;
      this.#synced = true;
    }
    const delta = this.#takeDelta();
    const nothing = delta.put.length === 0 && delta.remove.length === 0 && !this.#problemsChanged;
    if (this.#reported && nothing) return;
    this.#reported = true;
    this.#problemsChanged = false;
    this.state.apply(delta);
    this.#options.onChange(delta);
  }
}

/** SMI's versions differ in what the same fields mean. */
function inWrittenVersion(raw: RawObject, kind: Kind): RawObject {
  const decoder = SMI_KINDS[kind];
  const [group, version = ""] = (decoder === undefined ? "" : (writtenVersion(raw) ?? "")).split("/");
  if (decoder === undefined || decoder.group !== group || !decoder.versions.includes(version)) return raw;
  return { ...raw, apiVersion: `${group}/${version}` };
}

/** Plain data, decoded by one decoder: fields come in one order. */
function sameContent<T>(a: T | undefined, b: T): boolean {
  return a !== undefined && JSON.stringify(a) === JSON.stringify(b);
}

function keyOfRaw(metadata: { readonly namespace?: string; readonly name: string }): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}
