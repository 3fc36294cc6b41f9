import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../model/clock.ts";
import { passedBetween, type TrafficLook } from "../traffic/traffic-look.ts";
import { EXIT_FINE } from "./exit-codes.ts";
import { LiveScreen } from "./live-screen.ts";
import { checkScope } from "./look-options.ts";
import type { MeshView } from "./mesh-view.ts";
import { openView, type ViewOptions } from "./open-view.ts";
import { stderrLog } from "./stderr-log.ts";
import { untilStopped } from "./stop-signals.ts";
import { quietRow, SORT_KEYS, type SortKey, sortedRows, type TopRow, topRows } from "./top-rows.ts";
import { topTable } from "./top-table.ts";
import { warnAbsent } from "./warn-absent.ts";

export interface TopOptions extends ViewOptions {
  readonly callers?: boolean;
  readonly sort: SortKey;
  /** Milliseconds. */
  readonly interval: number;
  readonly once?: boolean;
  readonly json?: boolean;
}

/** The columns of a table that no terminal bounds. */
const WIDE = { columns: 1_000, lines: Number.POSITIVE_INFINITY };
/** Beyond them, rows without traffic make place. */
const MAX_KEPT_ROWS = 1_000;

const log = stderrLog();

/** Shows rates until Ctrl-C, or once. @throws Error where the first look comes to nothing */
export async function runTop(scope: string | undefined, options: TopOptions, version: string): Promise<number> {
  checkScope(scope);
  return untilStopped(async ({ signal, controller }) => {
    const view = await openView(options, version, signal);
    await warnAbsent(view, scope, log);
    const output = outputOf(options, view, () => controller.abort());
    try {
      await watch(view, scope, options, output, signal);
    } finally {
      output.close();
      view.close();
    }
    return EXIT_FINE;
  });
}

/** What was found at a look. */
interface Found {
  readonly rows: readonly TopRow[];
  readonly seconds: number;
  readonly proxies: number;
  readonly unheard: readonly string[];
}

interface Output {
  show(found: Found): void;
  /** The mesh could not be looked at; it is tried again. */
  fail(why: string): void;
  close(): void;
}

async function watch(
  view: MeshView,
  scope: string | undefined,
  { interval, callers, once }: TopOptions,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  let before = await view.traffic();
  while (!signal.aborted) {
    await pause(interval, undefined, { signal });
    let now: TrafficLook;
    try {
      now = await view.traffic();
    } catch (error) {
      if (signal.aborted || once === true) throw error;
      output.fail((error as Error).message);
      continue;
    }
    const passed = passedBetween(before, now);
    if (passed === undefined) continue;
    before = now;
    output.show({ ...passed, rows: topRows(passed.edges, passed.seconds, scope, callers === true) });
    if (once === true) return;
  }
}

function outputOf(options: TopOptions, view: MeshView, onQuit: () => void): Output {
  if (options.json === true) return new JsonOutput();
  const isLive = process.stdout.isTTY === true && options.once !== true;
  return isLive ? new LiveOutput(view, options, onQuit) : new PlainOutput(view, options.sort);
}

/** Each trouble is said once, on standard error. */
class Troubles {
  #said = "";

  say(why: string): void {
    if (why !== this.#said && why !== "") log.warn(why);
    this.#said = why;
  }
}

class JsonOutput implements Output {
  readonly #troubles = new Troubles();

  show({ rows, seconds, proxies, unheard }: Found): void {
    this.#troubles.say("");
    const time = new Date(systemClock.wall()).toISOString();
    process.stdout.write(`${JSON.stringify({ time, seconds, proxies, unheard, rows }, rounded)}\n`);
  }

  fail(why: string): void {
    this.#troubles.say(why);
  }

  close(): void {}
}

/** A table after the other. */
class PlainOutput implements Output {
  readonly #view: MeshView;
  readonly #sort: SortKey;
  readonly #troubles = new Troubles();
  readonly #colour = isColourful();

  constructor(view: MeshView, sort: SortKey) {
    this.#view = view;
    this.#sort = sort;
  }

  show(found: Found): void {
    this.#troubles.say("");
    const lines = [
      headline(this.#view.says, found),
      ...topTable(sortedRows(found.rows, this.#sort), WIDE, this.#colour),
    ];
    process.stdout.write(`${lines.join("\n")}\n`);
  }

  fail(why: string): void {
    this.#troubles.say(why);
  }

  close(): void {}
}

/** One table in place, and keys: q ends, ← and → choose what it is sorted by. */
class LiveOutput implements Output {
  readonly #view: MeshView;
  readonly #screen: LiveScreen;
  readonly #onQuit: () => void;
  readonly #onKey = (bytes: Buffer) => this.#press(bytes.toString("latin1"));
  readonly #colour = isColourful();
  #sort: SortKey;
  #rows = new Map<string, TopRow>();
  #headline: string;

  constructor(view: MeshView, { sort, interval }: TopOptions, onQuit: () => void) {
    this.#view = view;
    this.#sort = sort;
    this.#onQuit = onQuit;
    this.#headline = `${view.says}: counting for ${interval / 1000} s`;
    this.#screen = new LiveScreen(process.stdout, (columns, lines) => this.#draw(columns, lines));
    if (process.stdin.isTTY === true) {
      process.stdin.setRawMode(true);
      process.stdin.on("data", this.#onKey);
    }
    this.#screen.show();
  }

  show(found: Found): void {
    // Rows stay where they were seen once, so that the table does not jump.
    const kept = this.#rows.size > MAX_KEPT_ROWS ? [] : [...this.#rows.values()].map(quietRow);
    this.#rows = new Map([...kept, ...found.rows].map((row) => [`${row.service} ${row.caller} ${row.backend}`, row]));
    this.#headline = headline(this.#view.says, found);
    this.#screen.show();
  }

  fail(why: string): void {
    this.#headline = `as it was, since: ${why}`;
    this.#screen.show();
  }

  close(): void {
    if (process.stdin.isTTY === true) {
      process.stdin.off("data", this.#onKey);
      process.stdin.setRawMode(false);
      process.stdin.pause();
    }
    this.#screen.close();
  }

  #draw(columns: number, lines: number): string[] {
    const head = `${this.#headline}; by ${this.#sort}${process.stdin.isTTY === true ? " (← →), q ends" : ""}`;
    const rows = sortedRows([...this.#rows.values()], this.#sort);
    return [head.slice(0, columns), ...topTable(rows, { columns, lines: lines - 1 }, this.#colour)].slice(0, lines);
  }

  #press(key: string): void {
    // In raw mode the terminal makes no signal of Ctrl-C.
    if (key === "q" || key === "\u0003") this.#onQuit();
    const step = { "\u001b[D": -1, "\u001b[C": 1 }[key];
    if (step === undefined) return;
    const at = SORT_KEYS.indexOf(this.#sort) + step + SORT_KEYS.length;
    this.#sort = SORT_KEYS[at % SORT_KEYS.length] as SortKey;
    this.#screen.show();
  }
}

function headline(says: string, { seconds, proxies, unheard }: Found): string {
  const missing = unheard.length === 0 ? "" : `; not of ${unheard.join(", ")}, which came, went or did not answer`;
  return `${says}: ${proxies === 1 ? "one proxy" : `${proxies} proxies`}, last ${seconds.toFixed(1)} s${missing}`;
}

/** For JSON.stringify: six digits, which are more than a count of a few seconds can say. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === "number" ? Number(value.toPrecision(6)) : value;
}

function isColourful(): boolean {
  return process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === "";
}
