import { EXIT_FINE } from "./exit-codes.ts";

export interface StopSignals {
  /** Resolves at the first SIGINT, SIGTERM or SIGHUP. */
  readonly asked: Promise<void>;
  readonly signal: AbortSignal;
  readonly controller: AbortController;
  /** Gives the signals back to the runtime. */
  release(): void;
}

/**
 * The first signal asks for an orderly end, the second ends the process. SIGHUP, of a terminal that is closed, asks for the
 * same and never insists: the shell and the kernel both send it, and the service manager SIGTERM besides.
 */
export function stopSignals(): StopSignals {
  const controller = new AbortController();
  const asked = new Promise<void>((resolve) => controller.signal.addEventListener("abort", () => resolve()));
  let isHangUp = false;
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted && !isHangUp) process.exit(name === "SIGINT" ? 130 : 143);
    isHangUp = false;
    controller.abort();
  };
  const onHangUp = () => {
    isHangUp ||= !controller.signal.aborted;
    controller.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  process.on("SIGHUP", onHangUp);
  return {
    asked,
    signal: controller.signal,
    controller,
    release() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
      process.off("SIGHUP", onHangUp);
    },
  };
}

/** Looks until that is over, or until one is asked to stop: whatever comes of the look then, it has come to its end. */
export async function untilStopped(look: (stop: StopSignals) => Promise<number>): Promise<number> {
  const stop = stopSignals();
  try {
    return await look(stop);
  } catch (error) {
    if (stop.signal.aborted) return EXIT_FINE;
    throw error;
  } finally {
    stop.controller.abort();
    stop.release();
  }
}
