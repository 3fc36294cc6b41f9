import type { Clock } from "../model/clock.ts";
import {
  IDLE,
  type ProxyStanding,
  standingWith,
  sumOfStandings,
  whatRemains,
} from "../proxy/traffic/proxy-standing.ts";
import { NO_TRAFFIC, type TrafficReport } from "../traffic/traffic-report.ts";
import { TrafficWindow } from "../traffic/traffic-window.ts";
import type { DataPlane } from "./data-plane.ts";
import type { HandOver } from "./hand-over.ts";
import type { HandedCounts } from "./handed-counts.ts";

export interface NodeCountsOptions {
  readonly clock: Clock;
  readonly plane: Pick<DataPlane, "traffic" | "inherit" | "add" | "standing">;
}

/** What a node's proxy has counted, and what the one did that it has taken over from. */
export class NodeCounts {
  readonly #options: NodeCountsOptions;
  #recent: TrafficWindow;
  #closed = false;
  /** Of the one before, which has calls of its own until it has drained. */
  #standingBefore = IDLE;

  constructor(options: NodeCountsOptions) {
    this.#options = options;
    this.#recent = this.#windowFrom(NO_TRAFFIC);
  }

  /** What has passed in the last half minute. */
  recent(): TrafficReport {
    return this.#recent.report();
  }

  standing(): ProxyStanding {
    return sumOfStandings([this.#standingBefore, this.#options.plane.standing()]);
  }

  async all(): Promise<HandedCounts> {
    const traffic = await this.#options.plane.traffic();
    return { traffic, standing: this.standing() };
  }

  /** All that the one before had counted when it gave its ports up. */
  async inherit({ traffic, standing }: HandedCounts): Promise<void> {
    this.#options.plane.inherit(traffic);
    this.#standingBefore = standing;
    // That has not passed just now.
    this.#recent.close();
    const before = await this.#options.plane.traffic();
    if (!this.#closed) this.#recent = this.#windowFrom(before);
  }

  /** What the one before counts until it ends. */
  async follow(handOver: Pick<HandOver, "follow">): Promise<void> {
    await handOver.follow(({ traffic, standing }) => {
      this.#options.plane.add(traffic);
      this.#standingBefore = standingWith(this.#standingBefore, standing);
    });
    this.#standingBefore = whatRemains(this.#standingBefore);
  }

  close(): void {
    this.#closed = true;
    this.#recent.close();
  }

  #windowFrom(before: TrafficReport): TrafficWindow {
    const { clock, plane } = this.#options;
    return new TrafficWindow({ clock, read: () => plane.traffic(), before });
  }
}
