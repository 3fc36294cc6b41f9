/**
 * A worker: a process that carries calls, as the process that started it says. It listens by that process (node:cluster),
 * so several workers accept from the same sockets. It ends when it is told to, or when its parent is gone.
 */
import { type Change, ConfigWriter, type EntryPatch, entriesAfter } from "../config/changes.ts";
import { emptyMeshConfig, type MeshConfig } from "../config/mesh-config.ts";
import { ProcessMeter } from "../telemetry/process-metrics.ts";
import { OwnDataPlane, type ProxyOptions } from "./data-plane.ts";
import type { FromWorker, ToWorker } from "./worker-messages.ts";
import { WorkerTaps } from "./worker-taps.ts";

/** How often what was counted is told unasked: a worker that dies takes no more than that with it. */
const REPORT_MS = 1_000;

export interface Channel {
  send(message: FromWorker): void;
  onMessage(listener: (message: ToWorker) => void): void;
}

/** Carries calls until the parent says that it is over. */
export async function runWorker(options: Omit<ProxyOptions, "onReopened">, channel: Channel): Promise<void> {
  const { clock } = options;
  const processMeter = new ProcessMeter();
  const plane: OwnDataPlane = new OwnDataPlane({
    ...options,
    onReopened: () => channel.send({ type: "reopened", closed: plane.closedEntrypoints() }),
  });
  let writer = new ConfigWriter(emptyMeshConfig());
  const patch = (entries: EntryPatch): Change[] => {
    for (const [section, key, after] of [...entriesAfter(writer.config, entries)]) writer.put(section, key, after);
    return writer.take();
  };
  const apply = async (config: MeshConfig, round: number, changes?: readonly Change[]) => {
    await plane.apply(config, changes);
    channel.send({ type: "applied", round, closed: plane.closedEntrypoints() });
  };
  const report = () => {
    const standing = plane.standing();
    const figures = processMeter.figures(clock.wall());
    channel.send({ type: "report", standing, traffic: plane.takeTraffic(), figures });
  };
  const reportLater = () =>
    clock.after(REPORT_MS, () => {
      report();
      reporting = reportLater();
    });
  let reporting = reportLater();
  const taps = new WorkerTaps(plane, clock, (message) => channel.send(message));
  await new Promise<void>((resolve) => {
    channel.onMessage((message) => {
      switch (message.type) {
        case "config":
          writer = new ConfigWriter(message.config);
          void apply(writer.config, message.round);
          break;
        case "patch":
          void apply(writer.config, message.round, patch(message.patch));
          break;
        case "report":
          report();
          break;
        case "drain":
          plane.startDraining();
          break;
        case "leavePorts":
          void plane.leavePorts().then(() => channel.send({ type: "left" }));
          break;
        case "reopenLogs":
          plane.reopenLogs();
          break;
        case "tap":
          taps.open(message.tap, message.filter);
          break;
        case "untap":
          taps.close(message.tap);
          break;
        case "close":
          void plane.close(message.drainMs).then(report).then(resolve);
      }
    });
    channel.send({ type: "ready" });
  });
  reporting.cancel();
  processMeter.close();
}
