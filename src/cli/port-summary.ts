import type { Substitute } from "../local/sample-set.ts";

/** One line for all ports that could not be had: as an ordinary user, that is each port below 1024 of a mesh. */
export function portSummary(substitutes: readonly Substitute[]): string {
  const places = new Map<string, number>();
  for (const { port, boundPort } of substitutes) {
    // Where the port that people expect is taken as well, each address has another.
    const instead = boundPort === 8000 + port ? `${port} on ${boundPort}` : `${port} on any that was free`;
    places.set(instead, (places.get(instead) ?? 0) + 1);
  }
  const parts = [...places].map(
    ([instead, number]) => `${instead} (${number === 1 ? "1 address" : `${number} addresses`})`,
  );
  const reasons = new Set(substitutes.map(({ reason }) => reason));
  return `not every port could be had: ${parts.join(", ")}; ${[...reasons].join("; ")}`;
}
