/** `/api/status/node/{pod}/configuration` of a proxy of Tulle's own: a Traefik's form, and beside it what it really runs. */
import type { Snapshot } from "../config/snapshot.ts";
import type { EntrypointNumbers, FindService } from "./entrypoint-numbers.ts";
import { type RawData, rawData } from "./raw-data.ts";
import { toTraefik } from "./to-traefik.ts";

export function nodeData(
  { version, config }: Snapshot,
  service: FindService,
  numbers: EntrypointNumbers,
): RawData & Snapshot {
  return { ...rawData(toTraefik({ config, service, numbers }).configuration), version, config };
}
