export interface StopSignals {
  /** Resolves at the first SIGINT or SIGTERM. */
  readonly asked: Promise<void>;
  readonly signal: AbortSignal;
  readonly controller: AbortController;
  /** Gives the signals back to the runtime. */
  release(): void;
}

/** The first signal asks for an orderly end, the second ends the process. */
export function stopSignals(): StopSignals {
  const controller = new AbortController();
  const asked = new Promise<void>((resolve) => controller.signal.addEventListener("abort", () => resolve()));
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(name === "SIGINT" ? 130 : 143);
    controller.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    asked,
    signal: controller.signal,
    controller,
    release() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}
