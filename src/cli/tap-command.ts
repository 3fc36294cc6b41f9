import { failureOf } from "../admin/far-end.ts";
import { PROXY_LABELS } from "../controller/own-objects.ts";
import { followPods } from "../kube/follow-pods.ts";
import { forwardPort } from "../kube/port-forward.ts";
import { systemClock } from "../model/clock.ts";
import { readTapFilter, TAP_PARAMETERS } from "../tap/tap-filter.ts";
import { accessOf, type ClusterOptions, clientOf } from "./cluster-connection.ts";
import { ClusterView } from "./cluster-view.ts";
import type { ListenAddress } from "./common-options.ts";
import { count } from "./count.ts";
import { EXIT_FINE, EXIT_PROBLEMS } from "./exit-codes.ts";
import { meshNamespace } from "./mesh-namespace.ts";
import { LocalView, noLocal } from "./mesh-view.ts";
import { ProxyTaps } from "./proxy-taps.ts";
import { stderrLog } from "./stderr-log.ts";
import { untilStopped } from "./stop-signals.ts";
import { readTapLine, TapTable } from "./tap-line.ts";
import { readTap } from "./tap-reader.ts";
import { UsageError } from "./usage-error.ts";
import { warnAbsent, warnAbsentCaller } from "./warn-absent.ts";

export interface TapOptions extends ClusterOptions {
  readonly local?: boolean;
  readonly admin: ListenAddress;
  readonly json?: boolean;
  readonly namespace?: string;
  /** And the conditions, by the names of their flags. */
  readonly [condition: string]: unknown;
}

/** Of each proxy, on its own loopback. */
const PROXY_ADMIN_PORT = 9000;

const log = stderrLog();

/** Shows calls until Ctrl-C, or so many as were asked for. */
export async function runTap(to: string | undefined, options: TapOptions, version: string): Promise<number> {
  const query = queryOf(to, options);
  const filter = readTapFilter(query);
  if (typeof filter === "string") throw new UsageError(filter);
  return untilStopped(async ({ signal, controller }) => {
    const screen = new Screen(options.json === true, filter.count, () => controller.abort());
    if (options.local === true) {
      const view = new LocalView(options.admin, () => systemClock.now(), signal);
      await Promise.all([warnAbsent(view, to, log), warnAbsentCaller(view, filter.from, log)]);
      return tapLocal(options.admin, query, screen, signal);
    }
    await tapCluster({ to, from: filter.from, options, version, query, screen, signal });
    return EXIT_FINE;
  });
}

function queryOf(to: string | undefined, options: TapOptions): URLSearchParams {
  const query = new URLSearchParams(to === undefined ? {} : { to });
  for (const name of TAP_PARAMETERS) {
    const value = options[name.replace(/-./g, (each) => (each[1] as string).toUpperCase())];
    if (value !== undefined && name !== "to") query.set(name, String(value));
  }
  return query;
}

async function tapLocal(
  { address: host, port }: ListenAddress,
  query: URLSearchParams,
  screen: Screen,
  signal: AbortSignal,
): Promise<number> {
  try {
    await readTap({ host, port }, query, signal, (line) => screen.show(line));
  } catch (error) {
    throw noLocal(new Error(`${host}:${port}: ${failureOf(error as Error)}`));
  }
  if (signal.aborted) return EXIT_FINE;
  log.warn(`tulle local on ${host}:${port} has ended`);
  return EXIT_PROBLEMS;
}

interface ClusterTap {
  readonly to: string | undefined;
  readonly from: string | undefined;
  readonly options: TapOptions;
  readonly version: string;
  readonly query: URLSearchParams;
  readonly screen: Screen;
  readonly signal: AbortSignal;
}

async function tapCluster({ to, from, options, version, query, screen, signal }: ClusterTap): Promise<void> {
  const hint = "; or look at a tulle local with --local";
  const access = await accessOf(options, hint);
  const api = clientOf(access, version, log);
  try {
    const namespace = await meshNamespace(api, options.namespace);
    // Beside the tap: where no controller answers, calls are not to wait for that.
    const view = new ClusterView({ access, api, namespace, now: () => systemClock.now(), signal });
    void warnAbsent(view, to, log);
    void warnAbsentCaller(view, from, log);
    const taps = new ProxyTaps({
      namespace,
      clock: systemClock,
      log,
      signal,
      read: (pod, ends) => {
        const connect = () => forwardPort(access, { namespace, pod, port: PROXY_ADMIN_PORT });
        return readTap({ host: pod, port: PROXY_ADMIN_PORT, connect }, query, ends, (line) => screen.show(line));
      },
    });
    await followPods({
      api,
      namespace,
      labelSelector: PROXY_LABELS,
      clock: systemClock,
      random: Math.random,
      log,
      signal,
      onChange: (pods) => taps.update(pods),
    });
  } finally {
    api.close();
  }
}

/** Calls on standard output, of however many proxies. */
class Screen {
  readonly #json: boolean;
  readonly #table: TapTable;
  readonly #onEnough: () => void;
  #left: number;
  #headed: boolean;

  constructor(json: boolean, wanted: number | undefined, onEnough: () => void) {
    this.#json = json;
    this.#headed = json;
    const isTerminal = process.stdout.isTTY === true;
    this.#table = new TapTable({
      columns: () => (isTerminal ? process.stdout.columns || Number.POSITIVE_INFINITY : Number.POSITIVE_INFINITY),
      colour: isTerminal && (process.env["NO_COLOR"] ?? "") === "",
    });
    this.#left = wanted ?? Number.POSITIVE_INFINITY;
    this.#onEnough = onEnough;
  }

  show(line: string): void {
    const read = readTapLine(line);
    if (read === undefined || this.#left <= 0) return;
    if ("lost" in read) {
      log.warn(`${count(read.lost, "call")} left out: more than --max-rate in a second, or this terminal is slow`);
      return;
    }
    // Before the heading, which is to stand over it.
    const shown = this.#json ? line : this.#table.line(read.call);
    if (!this.#headed) process.stdout.write(`${this.#table.heading()}\n`);
    this.#headed = true;
    process.stdout.write(`${shown}\n`);
    if (--this.#left === 0) this.#onEnough();
  }
}
