import { systemClock } from "../model/clock.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";
import { findingsOf, isError } from "./mesh-status.ts";
import { LocalView } from "./mesh-view.ts";
import { openView, type ViewOptions } from "./open-view.ts";
import { readCluster, readLocal } from "./read-status.ts";
import { statusText } from "./status-text.ts";
import { stopSignals } from "./stop-signals.ts";

export interface StatusOptions extends ViewOptions {
  readonly json?: boolean;
}

/** @returns 1 where something is not as it must be */
export async function runStatus(options: StatusOptions, version: string): Promise<number> {
  const stop = stopSignals();
  try {
    const view = await openView(options, version, stop.signal);
    try {
      const status = view instanceof LocalView ? await readLocal(view) : await readCluster(view, systemClock.wall());
      const findings = findingsOf(status);
      const json = () => `${JSON.stringify({ ...status, findings }, null, 2)}\n`;
      process.stdout.write(options.json === true ? json() : statusText(status, findings));
      return findings.some(isError) ? EXIT_PROBLEMS : EXIT_FINE;
    } finally {
      view.close();
    }
  } finally {
    stop.controller.abort();
    stop.release();
  }
}
