import { writeFile } from "node:fs/promises";
import { planMigration } from "../migrate/migration.ts";
import { systemClock } from "../model/clock.ts";
import type { ClusterStateView } from "../model/cluster-state.ts";
import { accessOf, type ClusterOptions, clientOf, connect } from "./cluster-connection.ts";
import { ClusterView } from "./cluster-view.ts";
import { count } from "./count.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";
import { formatLocated, openManifests, refuseMissing } from "./load-manifests.ts";
import { meshNamespace } from "./mesh-namespace.ts";
import { readValues, workloadsIn, workloadsOf } from "./migrate-sources.ts";
import { isWeighty, migrationText, valuesFile } from "./migrate-text.ts";
import { readCluster } from "./read-cluster.ts";
import { stderrLog } from "./stderr-log.ts";
import { stopSignals } from "./stop-signals.ts";
import { handBack, type TakeOverOptions, takeOver } from "./take-over.ts";
import { UsageError } from "./usage-error.ts";
import { visible } from "./visible.ts";

export interface MigrateOptions extends ClusterOptions {
  readonly file?: readonly string[];
  readonly values?: string;
  readonly out?: string;
  readonly json?: boolean;
  readonly takeOver?: boolean;
  readonly handBack?: boolean;
  readonly force?: boolean;
  readonly timeout: number;
  /** Of the mesh that takes over; of Traefik Mesh, for the report. */
  readonly namespace?: string;
}

export async function runMigrate(options: MigrateOptions, version: string): Promise<number> {
  const { file, values, out } = options;
  const moves = options.takeOver === true || options.handBack === true;
  if (options.force === true && options.takeOver !== true) throw new UsageError("--force is for --take-over");
  if (!moves) return runReport(options, version);
  if (options.takeOver === true && options.handBack === true) throw new UsageError("either --take-over or --hand-back");
  if (file !== undefined || values !== undefined || out !== undefined)
    throw new UsageError("the mesh names are moved on a cluster: -f, --values and --out are for the report");
  return runMove(options, version);
}

async function runReport(options: MigrateOptions, version: string): Promise<number> {
  const { namespace, out } = options;
  const values = options.values === undefined ? undefined : await readValues(options.values);
  const { state, workloads } = await (options.file === undefined
    ? fromCluster(options, version)
    : fromManifests(options.file));
  const migration = planMigration({
    state,
    workloads,
    ...(values === undefined ? {} : { values }),
    ...(namespace === undefined ? {} : { namespace }),
  });
  const file = valuesFile(migration);
  if (out !== undefined) await writeNew(out, file);
  if (options.json === true) process.stdout.write(`${JSON.stringify(migration, null, 2)}\n`);
  else {
    process.stdout.write(visibleLines(migrationText(migration, readOf(state))));
    process.stdout.write(
      out === undefined
        ? `\nValues for Tulle's chart (--out FILE writes them):\n\n${visibleLines(file.replace(/^(?=.)/gm, "  "))}`
        : `values for Tulle's chart: ${out}\n`,
    );
  }
  return migration.differences.some(isWeighty) ? EXIT_PROBLEMS : EXIT_FINE;
}

interface Sources {
  readonly state: ClusterStateView;
  readonly workloads: Awaited<ReturnType<typeof workloadsIn>>;
}

async function fromCluster(options: MigrateOptions, version: string): Promise<Sources> {
  const api = await connect(options, version, stderrLog(), "; or look at manifests with -f");
  try {
    const [{ state }, workloads] = await Promise.all([readCluster(api, stderrLog()), workloadsOf(api)]);
    return { state, workloads };
  } finally {
    api.close();
  }
}

async function fromManifests(file: readonly string[]): Promise<Sources> {
  await refuseMissing({ file, defaultMode: "http" });
  const { source, input } = await openManifests({ file, defaultMode: "http" }, stderrLog());
  const { problems } = await source.load();
  for (const each of problems) if (each.problem.severity === "error") process.stderr.write(`${formatLocated(each)}\n`);
  return { state: source.state, workloads: await workloadsIn(file, input) };
}

/** @throws UsageError where it cannot be written, or is there already: it may be somebody's */
async function writeNew(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: "wx" });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = {
      EEXIST: "there is such a file already, and it is left as it is",
      ENOENT: "there is no such folder; make it, or name another",
    }[code ?? ""];
    throw new UsageError(`--out ${path}: ${why ?? message}`);
  }
}

function readOf(state: ClusterStateView): string {
  const [targets, splits] = [state.size("TrafficTarget"), state.size("TrafficSplit")];
  return `${count(state.size("Service"), "Service")}, ${count(targets, "TrafficTarget")} and ${count(splits, "TrafficSplit")} looked at`;
}

const visibleLines = (text: string) => text.split("\n").map(visible).join("\n");

async function runMove(options: MigrateOptions, version: string): Promise<number> {
  const stop = stopSignals();
  const access = await accessOf(options);
  const api = clientOf(access, version, stderrLog());
  // A request to the mesh outlives the signal that ends the command: it must be told.
  const over = new AbortController();
  try {
    const namespace = await meshNamespace(api, options.namespace);
    const view = new ClusterView({ access, api, namespace, now: () => systemClock.now(), signal: over.signal });
    const move: TakeOverOptions = {
      api,
      clock: systemClock,
      namespace,
      timeoutMs: options.timeout,
      signal: stop.signal,
      statuses: async () => {
        const pods = await view.pods();
        const asked = pods.filter(({ component, ready, ending }) => component === "controller" && ready && !ending);
        const answers = await Promise.allSettled(asked.map(({ name }) => view.ask(name, "/api/status/controller")));
        return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
      },
      say: (line) => process.stdout.write(`${visible(line)}\n`),
      warn: (line) => process.stderr.write(`tulle: ${visible(line)}\n`),
    };
    return options.handBack === true
      ? await handBack(move)
      : await takeOver(move, options.force === true ? "force" : "ready");
  } finally {
    over.abort();
    api.close();
    stop.release();
  }
}
