/**
 * One resource of the API server, mirrored: listed in pages, then watched from where the list ended. Whatever happens
 * to the stream, what the mirror reports in the end is what the server holds: a watch that ends is taken up where it
 * was; one that was too long away (410) is listed anew, and what is missing then is reported as removed.
 */
import type { Clock, Random } from "../model/clock.ts";
import { pause } from "../model/pause.ts";
import type { Log } from "../telemetry/log.ts";
import type { Api } from "./api-client.ts";
import { ApiError } from "./api-error.ts";
import { Backoff } from "./backoff.ts";

/** What every object of the API has. */
export interface RawObject {
  apiVersion?: string;
  kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion: string;
    readonly uid?: string;
  };
}

export interface Resource {
  /** `/api/v1/pods` */
  readonly path: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
  /** Names, labels and annotations alone, where nothing else is read. */
  readonly metadataOnly?: boolean;
}

export interface ReflectorChange {
  readonly put: readonly RawObject[];
  readonly remove: readonly { readonly namespace: string; readonly name: string }[];
}

/** What may be asked of a reflector at any time. */
export interface ReflectorStatus {
  /** The first list is complete. */
  readonly synced: boolean;
  /** A watch is open. */
  readonly watching: boolean;
  /** What stopped it last; empty once it watches again. */
  readonly error: string;
}

export interface ReflectorOptions {
  readonly api: Api;
  readonly resource: Resource;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  onChange(change: ReflectorChange): void;
  onStatus?(status: ReflectorStatus): void;
  /**
   * For a resource that may come and go: called, with everything reported as removed, once the server has said twice
   * that there is no such resource. Without it, such an answer is an error like any other.
   */
  onAbsent?(): void;
}

/** Objects a page; the server's own clients take as many. */
const PAGE_SIZE = 500;
/** Servers send a bookmark about once a minute: silence beyond that means that nobody is there. */
const SILENCE_MS = 75_000;
/** How long a watch is asked to last at least; up to twice that, so that they do not all end at once. */
const WATCH_SECONDS = 300;
/** A watch that ends sooner without an event is a failure: taken up again at once, it would spin. */
const SHORT_WATCH_MS = 1_000;
/** Between two denials that there is such a resource. */
const ABSENCE_MS = 3_000;
/** How many lists in a row may be older than what was seen; a server restored from a backup goes back for good. */
const STALE_LISTS = 3;
const METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

interface ListPage {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly RawObject[] | null;
}

interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: RawObject & { readonly code?: number; readonly reason?: string; readonly message?: string };
}

export class Reflector {
  readonly #options: ReflectorOptions;
  readonly #backoff: Backoff;
  /** Resource versions of what has been reported, by `namespace/name`. */
  readonly #known = new Map<string, string>();
  /** Where the watch goes on; empty: list first. */
  #position = "";
  /** The newest version that a server has told of. */
  #newest = "0";
  #staleLists = 0;
  #absences = 0;
  #synced = false;
  #watching = false;
  #error = "";

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
  }

  get status(): ReflectorStatus {
    return { synced: this.#synced, watching: this.#watching, error: this.#error };
  }

  /** Runs until `signal` aborts. Never throws. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      try {
        if (this.#position === "") await this.#list();
        await this.#watch();
      } catch (error) {
        if (signal.aborted) return;
        await this.#recover(error as Error);
      }
    }
  }

  async #list(): Promise<void> {
    const { api, resource, signal } = this.#options;
    const { fieldSelector, labelSelector } = resource;
    const found = new Map<string, RawObject>();
    let next: string | undefined;
    let position = "";
    do {
      const page = await api.request<ListPage>("GET", resource.path, {
        query: { limit: PAGE_SIZE, continue: next, fieldSelector, labelSelector },
        signal,
        ...(resource.metadataOnly === true ? { accept: METADATA_LIST } : {}),
      });
      for (const object of page?.items ?? []) found.set(keyOf(object), this.#completed(object));
      next = page?.metadata?.continue || undefined;
      position = page?.metadata?.resourceVersion ?? "";
    } while (next !== undefined && !signal.aborted);
    if (signal.aborted) return;
    if (position === "") throw new ApiError(`list ${resource.path}: the answer has no resourceVersion`);
    this.#checkFresh(position);
    this.#replace(found);
    this.#position = position;
    this.#newest = position;
    this.#synced = true;
    this.#report();
  }

  /** @throws ApiError for a list by a server that lags behind what another has told */
  #checkFresh(position: string): void {
    if (position === this.#newest || isNewer(position, this.#newest)) this.#staleLists = 0;
    else if (++this.#staleLists < STALE_LISTS)
      throw new ApiError(`list ${this.#options.resource.path}: the server lags behind (${position} < ${this.#newest})`);
    else this.#staleLists = 0;
  }

  /** Reports what differs from what was reported before. */
  #replace(found: ReadonlyMap<string, RawObject>): void {
    const put: RawObject[] = [];
    const remove: { namespace: string; name: string }[] = [];
    for (const key of this.#known.keys()) if (!found.has(key)) remove.push(partsOf(key));
    for (const [key, object] of found) if (this.#known.get(key) !== object.metadata.resourceVersion) put.push(object);
    this.#known.clear();
    for (const [key, object] of found) this.#known.set(key, object.metadata.resourceVersion);
    if (put.length > 0 || remove.length > 0) this.#options.onChange({ put, remove });
  }

  async #watch(): Promise<void> {
    const { api, resource, signal, random, clock } = this.#options;
    const { fieldSelector, labelSelector } = resource;
    const began = clock.now();
    let events = 0;
    let failure: ApiError | undefined;
    const ended = new AbortController();
    await api.watch(resource.path, {
      query: {
        resourceVersion: this.#position,
        allowWatchBookmarks: "true",
        timeoutSeconds: Math.round(WATCH_SECONDS * (1 + random())),
        fieldSelector,
        labelSelector,
      },
      silenceMs: SILENCE_MS,
      signal: AbortSignal.any([signal, ended.signal]),
      ...(resource.metadataOnly === true ? { accept: METADATA } : {}),
      onOpen: () => this.#opened(),
      onEvent: (event) => {
        if (failure !== undefined) return;
        events++;
        failure = this.#take(event as WatchEvent);
        if (failure !== undefined) ended.abort();
      },
    });
    this.#watching = false;
    if (failure !== undefined) throw failure;
    if (events === 0 && clock.now() - began < SHORT_WATCH_MS && !signal.aborted)
      throw new ApiError(`watch ${resource.path}: ended at once`);
    this.#backoff.reset();
  }

  #opened(): void {
    this.#watching = true;
    this.#error = "";
    this.#absences = 0;
    this.#report();
  }

  /** @returns why the watch cannot go on */
  #take(event: WatchEvent): ApiError | undefined {
    const { object, type } = event;
    const { resource } = this.#options;
    if (type === "ERROR") {
      const { code = 0, reason = "", message = "" } = object;
      return new ApiError(`watch ${resource.path}: ${message || reason}`, code, reason);
    }
    const version = object?.metadata?.resourceVersion;
    if (version === undefined) return new ApiError(`watch ${resource.path}: an event without resourceVersion`);
    const inOrder = isNewer(version, this.#position);
    if (inOrder) {
      this.#position = version;
      this.#newest = version;
      this.#backoff.reset();
    }
    if (type === "BOOKMARK") return undefined;
    const key = keyOf(object);
    const known = this.#known.get(key);
    if (known === undefined && !inOrder) {
      if (type === "DELETED") return undefined;
      // Late, or a second time and long deleted: only a list can tell.
      return new ApiError(`watch ${resource.path}: events out of order`, 410, "Expired");
    }
    if (known !== undefined && !isNewer(version, known)) return undefined;
    if (type === "DELETED") {
      if (this.#known.delete(key)) this.#options.onChange({ put: [], remove: [partsOf(key)] });
      return undefined;
    }
    this.#known.set(key, version);
    this.#options.onChange({ put: [this.#completed(object)], remove: [] });
    return undefined;
  }

  async #recover(error: Error): Promise<void> {
    const { clock, log, resource, signal, onAbsent } = this.#options;
    this.#watching = false;
    const { status = 0, reason = "", retryAfterMs } = error instanceof ApiError ? error : {};
    const expired = status === 410 || reason === "Expired" || reason === "Gone";
    if (expired) this.#position = "";
    this.#absences = status === 404 ? this.#absences + 1 : 0;
    // A server that is starting may not know its own resources yet, so one denial is no proof.
    if (onAbsent !== undefined && this.#absences >= 2) {
      this.#position = "";
      this.#replace(new Map());
      onAbsent();
    }
    this.#error = error.message;
    this.#report();
    const delay = this.#backoff.next();
    if (!expired) log.debug("watch interrupted", { resource: resource.path, error: error.message });
    const least = this.#absences > 0 ? ABSENCE_MS : 0;
    await pause(clock, Math.max(delay, retryAfterMs ?? 0, least), signal);
  }

  /** Items of a list lack what the list says once. */
  #completed(object: RawObject): RawObject {
    const { apiVersion, kind } = this.#options.resource;
    object.apiVersion = apiVersion;
    object.kind = kind;
    return object;
  }

  #report(): void {
    this.#options.onStatus?.(this.status);
  }
}

function keyOf({ metadata: { namespace, name } }: RawObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function partsOf(key: string): { namespace: string; name: string } {
  const slash = key.indexOf("/");
  return slash < 0 ? { namespace: "", name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Resource versions are numbers that rise; where one is not, it is taken for newer. */
function isNewer(version: string, than: string): boolean {
  if (!/^\d+$/.test(version) || !/^\d+$/.test(than)) return true;
  return version.length === than.length ? version > than : version.length > than.length;
}
