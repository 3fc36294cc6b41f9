/** What a controller has published, and the message that takes a proxy from what it has to the newest of it. */
import { type Change, changesBetween, patchOf } from "../config/changes.ts";
import type { MeshConfig } from "../config/mesh-config.ts";
import type { Snapshot } from "../config/snapshot.ts";

/** Versions that a proxy may come back with and get a delta from. */
const HISTORY = 32;

export interface Published {
  readonly version: string;
  readonly sequence: number;
  /** Monotonic, in milliseconds. */
  readonly at: number;
  /** Since the one before. */
  readonly changes: readonly Change[];
}

/** A line that takes a proxy to what was published last. */
export interface ConfigMessage {
  readonly type: "full" | "delta";
  readonly text: string;
}

export class PublishedConfigs {
  readonly #history: Published[] = [];
  #snapshot: Snapshot | undefined;
  /** The last message made, for the many proxies that need the same. */
  #lastMessage: (ConfigMessage & { readonly from: string; readonly sequence: number }) | undefined;
  #sequence = 0;

  /** The newest, as it is by now. */
  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  get last(): Published | undefined {
    return this.#history.at(-1);
  }

  /**
   * @param at monotonic, in milliseconds
   * @param changes since the one before; they must be told of a configuration that changed in place
   * @returns false where it is the newest already
   */
  add(snapshot: Snapshot, at: number, changes?: readonly Change[]): boolean {
    const { version, config } = snapshot;
    if (this.last?.version === version) return false;
    const before = this.#snapshot?.config;
    // Deltas are of entries: another setting is sent with the whole.
    if (before !== undefined && !hasSameSettings(before, config)) this.#history.length = 0;
    this.#snapshot = snapshot;
    this.#history.push({
      version,
      sequence: ++this.#sequence,
      at,
      changes: changes ?? (before === undefined ? [] : changesBetween(before, config)),
    });
    if (this.#history.length > HISTORY) this.#history.shift();
    return true;
  }

  /** Only where something is published. @param from what the proxy has; a version that is not remembered gets the whole */
  messageFrom(from: string): ConfigMessage {
    const { version, sequence } = this.last as Published;
    const { config } = this.#snapshot as Snapshot;
    const known = this.#history.findLastIndex((each) => each.version === from);
    const base = known < 0 ? "" : from;
    const last = this.#lastMessage;
    // By sequence: the same version may be published again, and a proxy acknowledges the number.
    if (last?.from === base && last.sequence === sequence) return last;
    const message =
      known < 0
        ? ({ type: "full", sequence, version, config } as const)
        : ({ type: "delta", sequence, from, version, patch: this.#patchSince(known, config) } as const);
    this.#lastMessage = { type: message.type, from: base, sequence, text: `${JSON.stringify(message)}\n` };
    return this.#lastMessage;
  }

  #patchSince(index: number, config: MeshConfig) {
    return patchOf(
      this.#history.slice(index + 1).flatMap(({ changes }) => changes),
      config,
    );
  }
}

function hasSameSettings(a: MeshConfig, b: MeshConfig): boolean {
  return a.accessControl === b.accessControl && a.meshDomains.join() === b.meshDomains.join();
}
