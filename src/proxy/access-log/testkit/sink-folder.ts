import fs from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { ManualClock } from "../../../model/testkit/manual-clock.ts";
import type { Log } from "../../../telemetry/log.ts";
import { LineSink } from "../line-sink.ts";

/** Sinks in a folder of their own, with a clock that stands. */
export class SinkFolder {
  readonly folder: string;
  readonly file: string;
  readonly clock = new ManualClock();
  /** Messages of the log, each with the values of its fields. */
  readonly said: string[] = [];
  readonly #sinks: LineSink[] = [];

  private constructor(folder: string) {
    this.folder = folder;
    this.file = join(folder, "access.log");
  }

  static async make(): Promise<SinkFolder> {
    return new SinkFolder(await mkdtemp(join(tmpdir(), "tulle-lines-")));
  }

  open(file = this.file, shared = false): LineSink {
    const note = (message: string, fields = {}) => this.said.push([message, ...Object.values(fields)].join(" "));
    const log: Log = { debug: note, info: note, warn: note, error: note };
    const sink = new LineSink({ file, shared, clock: this.clock, log });
    this.#sinks.push(sink);
    return sink;
  }

  content(path = this.file): string {
    return fs.existsSync(path) ? fs.readFileSync(path, "utf8") : "";
  }

  /** Gives up what cannot be written. */
  async closeOf(sink: LineSink): Promise<void> {
    let closed = false;
    const closing = sink.close().then(() => {
      closed = true;
    });
    while (!closed) {
      this.clock.advance(1_000);
      await setImmediate();
    }
    await closing;
  }

  async remove(): Promise<void> {
    for (const sink of this.#sinks) await this.closeOf(sink);
    await rm(this.folder, { recursive: true });
  }
}

export function write(sink: LineSink, line: string): void {
  sink.line.ascii(line);
  sink.add();
}

/** Turns of the event loop until it is so: the file is written by threads that no clock of ours moves. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setImmediate();
}
