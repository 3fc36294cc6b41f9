import { Resolver } from "node:dns/promises";
import type { AccessMode } from "../config/mesh-config.ts";
import type { CallResult } from "../local/example-calls.ts";
import { makeExampleCalls } from "../local/example-calls.ts";
import { LoopbackCluster, type LoopbackOptions } from "../local/loopback-cluster.ts";
import type { ReadyLine } from "../local/ready-line.ts";
import type { LocatedProblem } from "../manifests/manifest-file.ts";
import type { ManifestUpdate } from "../manifests/manifest-source.ts";
import { systemClock } from "../model/clock.ts";
import { pause } from "../model/pause.ts";
import { type AccessLogFlags, accessLogSettings } from "./access-log-options.ts";
import type { ListenAddress } from "./common-options.ts";
import { count } from "./count.ts";
import { descriptorLimit } from "./descriptor-limit.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";
import { keptAlive } from "./kept-alive.ts";
import { type ManifestOptions, type Manifests, openManifests, refuseMissing } from "./load-manifests.ts";
import { portSummary } from "./port-summary.ts";
import { ProblemReporter } from "./problem-reporter.ts";
import { stderrLog } from "./stderr-log.ts";
import { stopSignals } from "./stop-signals.ts";
import { openTracing, type TracingFlags } from "./tracing.ts";
import { readUpstreamCa, type UpstreamCaOptions } from "./upstream-ca.ts";
import { UsageError } from "./usage-error.ts";

export interface LocalOptions extends ManifestOptions, UpstreamCaOptions, AccessLogFlags, TracingFlags {
  readonly once?: boolean;
  readonly keepCalling?: boolean;
  readonly json?: boolean;
  readonly dns: ListenAddress;
  readonly socks: ListenAddress;
  readonly admin: ListenAddress;
}

type ForProxy = Pick<LoopbackOptions, "trustedCa" | "tracing" | "accessLog">;

const MAX_LISTED_PODS = 20;
const BETWEEN_WALKS_MS = 1_000;

/** Runs the mesh until Ctrl-C, or with --once until the example's calls are made. */
export async function runLocal(options: LocalOptions, version: string): Promise<number> {
  const accessLog = accessLogSettings(options);
  if (options.json === true && accessLog !== undefined && accessLog.file === undefined)
    throw new UsageError("with --json, standard output has the ready line alone: give --access-log-file");
  await refuseMissing(options);
  const manifests = await openManifests(options, stderrLog());
  const ca = await readUpstreamCa(options);
  const tracing = await openTracing(options, { version, pod: undefined, node: undefined, sharers: 1 }, stderrLog());
  const run = new LocalRun(options, version, manifests, {
    ...ca,
    ...tracing?.forProxy,
    ...(accessLog === undefined ? {} : { accessLog }),
  });
  const onReopen = () => run.cluster.reopenLogs();
  process.on("SIGUSR1", onReopen);
  const stop = stopSignals();
  try {
    // Also while it starts: a big mesh takes its time.
    const code = await Promise.race([stop.asked.then(() => undefined), run.run(stop.signal)]);
    if (code !== undefined) return code;
    run.out("\nstopping: calls under way finish (Ctrl-C again ends at once)");
    return options.once === true ? EXIT_PROBLEMS : EXIT_FINE;
  } finally {
    stop.controller.abort();
    await keptAlive(run.cluster.close());
    process.off("SIGUSR1", onReopen);
    await tracing?.close();
    stop.release();
  }
}

class LocalRun {
  readonly cluster: LoopbackCluster;
  readonly #options: LocalOptions;
  readonly #version: string;
  readonly #manifests: Manifests;
  readonly #log = stderrLog();
  readonly #reporter = new ProblemReporter((line) => process.stderr.write(`${line}\n`));
  /** `address:port` of which it is said already. */
  #substituted: ReadonlySet<string> = new Set();

  constructor(options: LocalOptions, version: string, manifests: Manifests, forProxy: ForProxy) {
    this.#options = options;
    this.#version = version;
    this.#manifests = manifests;
    const { dns, socks, admin } = options;
    const maxDescriptors = descriptorLimit();
    this.cluster = new LoopbackCluster({
      version,
      accessControl: manifests.accessControl,
      defaultTrafficType: options.defaultMode,
      addresses: manifests.addresses,
      dns,
      socks,
      admin,
      ...forProxy,
      ...(maxDescriptors === undefined ? {} : { maxDescriptors }),
      locate: (problems) => manifests.source.locate(problems),
      clock: systemClock,
      random: Math.random,
      log: this.#log,
    });
  }

  /** For people; with --json nothing but the ready line is on standard output. */
  out(line: string): void {
    if (this.#options.json !== true) process.stdout.write(`${line}\n`);
  }

  /** @returns the exit code where it ends by itself; else it runs until the signal */
  async run(signal: AbortSignal): Promise<number> {
    const { cluster } = this;
    const { source } = this.#manifests;
    await cluster.listen();
    const problems = await this.#enforce(await source.load());
    if (problems.some(isRefusal)) return EXIT_PROBLEMS;
    const ready = cluster.readyLine();
    this.#greet(ready);
    const allOk = await walk(cluster, ready, signal, (line) => this.out(line));
    if (this.#options.once === true) return allOk && !this.#reporter.hasErrors ? EXIT_FINE : EXIT_PROBLEMS;
    for (const line of hints(ready, this.#manifests.accessControl)) this.out(line);
    source.watch(async (change) => {
      const { put, remove } = change.delta;
      if ((await this.#enforce(change)).some(isRefusal) || put.length + remove.length === 0) return;
      const version = cluster.snapshot.version.slice(0, 12);
      this.out(`changed: ${count(put.length, "object")} set, ${remove.length} removed; version ${version} is in force`);
    }, signal);
    if (this.#options.keepCalling === true) await keepCalling(cluster, ready, signal);
    return new Promise(() => {});
  }

  async #enforce(update: ManifestUpdate): Promise<readonly LocatedProblem[]> {
    const problems = await this.cluster.update(this.#manifests.source.state, update.problems);
    this.#reporter.report([...update.problems, ...problems]);
    const substitutes = this.cluster.substitutes();
    const news = substitutes.filter(({ address, port }) => !this.#substituted.has(`${address}:${port}`));
    this.#substituted = new Set(substitutes.map(({ address, port }) => `${address}:${port}`));
    if (news.length > 0) this.#log.warn(portSummary(news));
    return problems;
  }

  #greet(ready: ReadyLine): void {
    const { paths, accessControl } = this.#manifests;
    if (this.#options.json === true) process.stdout.write(`${JSON.stringify(ready)}\n`);
    this.out(
      `Tulle ${this.#version}: a mesh of ${count(ready.services.length, "service")} and ${count(ready.pods.length, "Pod")}, from ${paths.join(", ")}`,
    );
    this.out(`access control ${accessControl}; DNS ${ready.dns}, SOCKS5 ${ready.socks}, admin ${ready.admin}\n`);
  }
}

/** Said of a state of the manifests that is not in force at all. */
const isRefusal = ({ problem }: LocatedProblem) => problem.code === "DescriptorsExhausted";

/** Makes the calls of the example that these manifests have, until it is told to stop. */
async function walk(
  cluster: LoopbackCluster,
  ready: ReadyLine,
  signal: AbortSignal,
  out: (line: string) => void,
): Promise<boolean> {
  const resolver = new Resolver({ timeout: 1000, tries: 2 });
  resolver.setServers([ready.dns]);
  const resolve = async (host: string) => {
    // A call without an address is not made: there will be nobody to answer it.
    signal.throwIfAborted();
    return (await resolver.resolve4(host))[0] as string;
  };
  let title = "The calls of examples/whoami/README.md, each from its Pod's address:\n";
  const allOk = await makeExampleCalls(cluster.callTarget(resolve), (result) => {
    if (signal.aborted) return;
    if (title !== "") out(title);
    title = "";
    out(formatCall(result));
  });
  return allOk;
}

/** So that there is something to see: in the dashboard, the metrics, a tap. */
async function keepCalling(cluster: LoopbackCluster, ready: ReadyLine, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(systemClock, BETWEEN_WALKS_MS, signal);
    await walk(cluster, ready, signal, () => {});
  }
}

function formatCall({ from, call, outcome, answeredBy, way, ok, note }: CallResult): string {
  const by = [...answeredBy].map(([name, count]) => (count > 1 ? `${name} ×${count}` : name)).join(", ");
  const head = `  ${ok ? "✓" : "✗"} ${from}  ${call}  ${outcome}${note === "" ? "" : `  (${note})`}`;
  return `${head}\n      ${way}${by === "" ? "" : `\n      answered by ${by}`}`;
}

/** Lines to paste, with the addresses of this run. With access control on, only those that call as a Pod. */
function hints(ready: ReadyLine, accessControl: AccessMode): string[] {
  const [dnsHost, dnsPort] = ready.dns.split(":");
  const http = ready.services.find((service) => service.ports.some((port) => port.trafficType === "http"));
  const tcp = ready.services.find((service) => service.ports.some((port) => port.trafficType === "tcp"));
  const udp = ready.services.find((service) => service.ports.some((port) => port.trafficType === "udp"));
  const client = ready.pods.find((pod) => pod.name.includes("client")) ?? ready.pods[0];
  const asPod = accessControl === "on";
  const remark = asPod ? " (access control is on: who calls from no Pod's address is denied)" : "";
  const lines = [`\nTry, in another terminal${remark}:\n`];
  if (http !== undefined) {
    const port = http.ports.find((each) => each.trafficType === "http");
    const dial = port?.boundPort ?? port?.port ?? 80;
    const suffix = dial === 80 ? "" : `:${dial}`;
    const [host] = http.hosts;
    lines.push(`  dig @${dnsHost} -p ${dnsPort} ${host} +short`);
    if (!asPod) lines.push(`  curl http://${http.meshIP}${suffix}/`);
    if (client !== undefined) {
      lines.push(`  curl --interface ${client.ip} http://${http.meshIP}${suffix}/        # as Pod ${client.name}`);
      lines.push(
        `  curl -x socks5h://${client.namespace}.${client.name}:x@${ready.socks} http://${host}${port?.port === 80 ? "" : `:${port?.port}`}/`,
      );
    }
  }
  for (const [service, flags] of [
    [tcp, "-q 1"],
    [udp, "-u -w 1"],
  ] as const) {
    const port = service?.ports[0];
    if (service === undefined || port === undefined || (asPod && client === undefined)) continue;
    const source = asPod ? `-s ${client?.ip} ` : "";
    lines.push(`  echo WHO | nc ${source}${flags} ${service.meshIP} ${port.boundPort ?? port.port}`);
  }
  lines.push(`  curl ${ready.admin}/api/problems`);
  lines.push(`\nThe dashboard, for a browser: ${ready.admin}/`);
  if (ready.pods.length > 0) lines.push("\nPods, to call from with curl --interface or nc -s:\n");
  for (const pod of ready.pods.slice(0, MAX_LISTED_PODS))
    lines.push(`  ${pod.ip.padEnd(14)}${pod.namespace}/${pod.name}`);
  if (ready.pods.length > MAX_LISTED_PODS) lines.push(`  and ${ready.pods.length - MAX_LISTED_PODS} more`);
  lines.push("\nEdit a manifest: the change is in force at once (what goes, half a second later). Ctrl-C ends.");
  return lines;
}
