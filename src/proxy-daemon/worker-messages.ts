/** What the process of a node and its workers say to each other, over the channel that their runtime gives them. */
import type { EntryPatch } from "../config/changes.ts";
import type { MeshConfig } from "../config/mesh-config.ts";
import type { ProxyStanding } from "../proxy/traffic/proxy-standing.ts";
import type { TapFilter } from "../tap/tap-filter.ts";
import type { ProcessFigures } from "../telemetry/process-metrics.ts";
import type { TrafficReport } from "../traffic/traffic-report.ts";

export type ToWorker =
  /** `round` counts configurations; an answer names the one that it is about. */
  | { readonly type: "config"; readonly round: number; readonly config: MeshConfig }
  | { readonly type: "patch"; readonly round: number; readonly patch: EntryPatch }
  | { readonly type: "report" }
  | { readonly type: "drain" }
  | { readonly type: "leavePorts" }
  | { readonly type: "reopenLogs" }
  | { readonly type: "tap"; readonly tap: number; readonly filter: TapFilter }
  | { readonly type: "untap"; readonly tap: number }
  | { readonly type: "close"; readonly drainMs: number };

export type FromWorker =
  /** It listens to its parent: what was sent before is lost. */
  | { readonly type: "ready" }
  | { readonly type: "applied"; readonly round: number; readonly closed: readonly string[] }
  | { readonly type: "left" }
  /** An entrypoint that could not be opened is open now. */
  | { readonly type: "reopened"; readonly closed: readonly string[] }
  /** Calls that a tap shows, and how many it would have shown besides. */
  | { readonly type: "tapped"; readonly tap: number; readonly lines: readonly string[]; readonly lost: number }
  | {
      readonly type: "report";
      readonly standing: ProxyStanding;
      /** What passed since the report before. */
      readonly traffic: TrafficReport;
      readonly figures: ProcessFigures;
    };
