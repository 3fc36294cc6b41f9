import { compileMesh } from "../local/compile-mesh.ts";
import { type Explanation, explain, UnanswerableError } from "../local/explain.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";
import { type ManifestOptions, openManifests } from "./load-manifests.ts";
import { stderrLog } from "./stderr-log.ts";
import { UsageError } from "./usage-error.ts";

export interface ExplainOptions extends ManifestOptions {
  readonly from: string;
  readonly to: string;
  readonly method: string;
  readonly path: string;
  readonly header?: readonly string[];
  readonly json?: boolean;
}

/** The decision path on standard output. 0 when the call would be served. */
export async function runExplain(options: ExplainOptions): Promise<number> {
  const { source, addresses, accessControl } = openManifests(options, stderrLog());
  const headers = (options.header ?? []).map(parseHeader);
  await source.load();
  const { config, problems } = compileMesh(source.state, {
    // Rules are in a configuration only where they may be asked.
    accessControl: "on",
    defaultTrafficType: options.defaultMode,
    addresses,
  });
  let answer: Explanation;
  try {
    const { from, to, method, path } = options;
    answer = explain(
      { from, to, method: method.toUpperCase(), path, headers },
      { state: source.state, config, enforced: accessControl, problems },
    );
  } catch (error) {
    if (error instanceof UnanswerableError) throw new UsageError(error.message);
    throw error;
  }
  process.stdout.write(options.json === true ? `${JSON.stringify(answer, null, 2)}\n` : render(answer));
  return answer.served ? EXIT_FINE : EXIT_PROBLEMS;
}

function render({ served, steps, decidedBy }: Explanation): string {
  const lines = [...steps];
  if (decidedBy !== "") lines.push(`decided by: ${decidedBy}`);
  lines.push(served ? "served" : "not served");
  return `${lines.join("\n")}\n`;
}

function parseHeader(text: string): { name: string; value: string } {
  const colon = text.indexOf(":");
  if (colon < 1) throw new UsageError(`--header "${text}": expected NAME:VALUE`);
  return { name: text.slice(0, colon).trim(), value: text.slice(colon + 1).trim() };
}
