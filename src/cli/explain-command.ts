import { compileCluster } from "../controller/compile-cluster.ts";
import { type ExplainedMesh, type Explanation, explain, type Question, UnanswerableError } from "../explain/explain.ts";
import { compileMesh } from "../local/compile-mesh.ts";
import { systemClock } from "../model/clock.ts";
import { namespaceFilter } from "../topology/build-topology.ts";
import { connect } from "./cluster-connection.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";
import { explainLocal, type LocalAnswer } from "./explain-local.ts";
import { installedOptions } from "./installed-options.ts";
import { formatLocated, type ManifestOptions, openManifests, refuseMissing } from "./load-manifests.ts";
import { meshNamespace } from "./mesh-namespace.ts";
import { LocalView } from "./mesh-view.ts";
import type { ViewOptions } from "./open-view.ts";
import { readCluster } from "./read-cluster.ts";
import { stderrLog } from "./stderr-log.ts";
import { UsageError } from "./usage-error.ts";

export interface ExplainOptions extends ManifestOptions, ViewOptions {
  readonly from: string;
  readonly to: string;
  readonly method: string;
  readonly path: string;
  readonly header?: readonly string[];
  readonly json?: boolean;
}

/** The decision path on standard output, of a tulle local, of manifests, or else of a cluster. 0 when the call would be served. */
export async function runExplain(options: ExplainOptions, version: string): Promise<number> {
  const { from, to, method, path } = options;
  const headers = (options.header ?? []).map(parseHeader);
  const question = { from, to, method: method.toUpperCase(), path, headers };
  const answer = options.local === true ? await askLocal(question, options) : await reckon(question, options, version);
  process.stdout.write(options.json === true ? `${JSON.stringify(answer, null, 2)}\n` : render(answer));
  return answer.served ? EXIT_FINE : EXIT_PROBLEMS;
}

function askLocal(question: Question, { admin }: ExplainOptions): Promise<LocalAnswer> {
  const { signal } = new AbortController();
  return explainLocal(question, new LocalView(admin, () => systemClock.now(), signal));
}

async function reckon(question: Question, options: ExplainOptions, version: string): Promise<Explanation> {
  const mesh = options.file === undefined ? await clusterMesh(options, version) : await manifestMesh(options);
  try {
    return explain(question, mesh);
  } catch (error) {
    if (error instanceof UnanswerableError) throw new UsageError(error.message);
    throw error;
  }
}

async function manifestMesh(options: ExplainOptions): Promise<ExplainedMesh> {
  await refuseMissing(options);
  const { source, addresses, accessControl } = await openManifests(options, stderrLog());
  // What is not read here may be in force in a mesh that runs: the answer must not be taken for its.
  for (const each of (await source.load()).problems) process.stderr.write(`${formatLocated(each)}\n`);
  const { config, problems } = compileMesh(source.state, {
    // Rules are in a configuration only where they may be asked.
    accessControl: "on",
    defaultTrafficType: options.defaultMode,
    addresses,
  });
  return { state: source.state, config, enforced: accessControl, problems };
}

/** The cluster's objects now, and the options of the controller that runs there. */
async function clusterMesh(options: ExplainOptions, version: string): Promise<ExplainedMesh> {
  const log = stderrLog();
  const api = await connect(
    options,
    version,
    log,
    "; or give manifests with -f PATH, or look at a tulle local with --local",
  );
  try {
    const namespace = await meshNamespace(api, options.namespace);
    const { state, problems } = await readCluster(api, log);
    const installed = await installedOptions(api, namespace);
    if (!installed.installed)
      log.warn(`there is no controller in namespace ${namespace}: this is what a mesh with the usual options would do`);
    const enforced = options.acl ?? installed.accessControl;
    const compiled = compileCluster(state, { ...installed, accessControl: "on", namespace });
    return {
      state,
      config: compiled.config,
      enforced,
      problems: [...problems, ...compiled.problems],
      within: namespaceFilter(installed),
    };
  } finally {
    api.close();
  }
}

function render({ served, steps, decidedBy }: LocalAnswer | Explanation): string {
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
