/**
 * Where lines go: a file, or standard output. Whoever has a line hands it over and goes on: it is written with others from
 * time to time, by another thread, and what cannot be written waits in a bounded buffer. What does not fit there is lost,
 * counted, and said once. A disk that is full, a folder that is gone, a reader that sleeps: a warning, and another try.
 *
 * Each write is of whole lines to a file opened for appending, or at most so long as a pipe takes in one piece (pipe(7)),
 * so that several processes may have the same file or the same pipe.
 */
import fs from "node:fs";
import type { Clock, Timer } from "../../model/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import type { LineBytes } from "./line-bytes.ts";
import { LineQueue } from "./line-queue.ts";

/** How long a line may wait for others. */
const FLUSH_MS = 50;
/** Or until so much is together: another thread has to be woken for each. */
const FLUSH_BYTES = 128 * 1024;
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** Between tries where something is wrong. */
const RETRY_MS = 1_000;
/** Where a pipe is full. */
const PIPE_RETRY_MS = 20;
/** At the end, a place that takes nothing is not waited for. */
const CLOSE_MS = 1_000;
const PIPE_BUF = 4_096;
const STDOUT = 1;

const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = fs.constants;
/** Not to wait for the reader of a named pipe, which would hold up a thread. */
const APPEND = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK;

export interface LineSinkOptions {
  /** Absent: standard output. */
  readonly file?: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class LineSink {
  readonly #options: LineSinkOptions;
  readonly #place: string;
  readonly #maxBatchBytes: number;
  readonly #lines = new LineQueue(MAX_WAITING_BYTES, FLUSH_BYTES);
  #fd: number | undefined;
  /** There is a place to open: at the start, and where the file was moved away. */
  #unopened = true;
  /** Being written, from `#written` on. */
  #batch: Buffer | undefined;
  #written = 0;
  #busy = false;
  #flushTimer: Timer | undefined;
  #openTimer: Timer | undefined;
  #writeTimer: Timer | undefined;
  /** What is wrong, once it was said. */
  #openTrouble = "";
  #writeTrouble = "";
  #lost = 0;
  #onWrittenAll: (() => void) | undefined;
  #closing = false;
  #closed = false;

  constructor(options: LineSinkOptions) {
    this.#options = options;
    this.#place = options.file ?? "standard output";
    this.#maxBatchBytes = options.file === undefined ? PIPE_BUF : FLUSH_BYTES;
  }

  /** For the next line, of ASCII, with its line feed; then `add` it. */
  get line(): LineBytes {
    return this.#lines.line;
  }

  /** The line is whole. */
  add(): void {
    const { log, clock } = this.#options;
    if (this.#closing) this.#lines.line.drop();
    if (this.#closing || !this.#lines.add()) {
      if (this.#lost++ === 0) log.warn("the access log loses lines: they come faster than they go");
      return;
    }
    if (this.#busy || this.#writeTimer !== undefined) return;
    if (this.#lines.bytes >= FLUSH_BYTES) this.#work();
    else this.#flushTimer ??= clock.after(FLUSH_MS, () => this.#work());
  }

  /** The file was moved away: what comes now goes to a new one of its name. */
  reopen(): void {
    if (this.#options.file === undefined) return;
    this.#unopened = true;
    this.#openTimer?.cancel();
    this.#openTimer = undefined;
    this.#work();
  }

  /** Resolves when all is written, or cannot be in time. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const deadline = this.#options.clock.after(CLOSE_MS, () => this.#onWrittenAll?.());
    const written = new Promise<void>((resolve) => {
      this.#onWrittenAll = resolve;
    });
    this.#work();
    await written;
    this.#closed = true;
    for (const timer of [deadline, this.#flushTimer, this.#openTimer, this.#writeTimer]) timer?.cancel();
    this.#work();
  }

  /** The next of: open, write, rest. One at a time, so that lines stay in order. */
  #work(): void {
    if (this.#busy) return;
    this.#flushTimer?.cancel();
    this.#flushTimer = undefined;
    if (this.#closed) this.#giveUp();
    else if (this.#unopened && this.#openTimer === undefined) this.#open();
    else if (this.#batch === undefined && this.#lines.bytes === 0) this.#rest();
    // Where a new file cannot be had, the old one still takes lines.
    else if (this.#fd !== undefined && this.#writeTimer === undefined) this.#writeOn(this.#fd);
  }

  #rest(): void {
    if (this.#lost > 0) this.#options.log.warn("the access log lost lines", { lines: this.#lost });
    this.#lost = 0;
    this.#onWrittenAll?.();
  }

  #open(): void {
    const { file } = this.#options;
    this.#busy = true;
    if (file === undefined) openStdout((fd) => this.#onOpened(fd));
    else fs.open(file, APPEND, 0o644, (error, fd) => (error === null ? this.#onOpened(fd) : this.#onUnopened(error)));
  }

  #onOpened(fd: number): void {
    this.#busy = false;
    this.#unopened = false;
    this.#giveUp();
    this.#fd = fd;
    // A new file begins with the beginning of a line.
    if (this.#batch !== undefined && this.#written > 0)
      this.#written = this.#batch.lastIndexOf("\n", this.#written - 1) + 1;
    if (this.#openTrouble !== "") this.#options.log.info("the access log is open now", { file: this.#place });
    this.#openTrouble = "";
    this.#work();
  }

  #onUnopened({ message: error }: Error): void {
    const { log, clock } = this.#options;
    this.#busy = false;
    if (error !== this.#openTrouble)
      log.warn("the access log cannot be opened; it is tried again", { file: this.#place, error });
    this.#openTrouble = error;
    this.#openTimer = clock.after(RETRY_MS, () => {
      this.#openTimer = undefined;
      this.#work();
    });
    this.#work();
  }

  #writeOn(fd: number): void {
    if (this.#batch === undefined) {
      this.#batch = this.#lines.take(this.#maxBatchBytes);
      this.#written = 0;
    }
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#busy = true;
    fs.write(fd, batch, this.#written, null, null, (error, count) => {
      this.#busy = false;
      if (error === null) this.#onWritten(batch, count);
      else this.#onUnwritten(error);
      this.#work();
    });
  }

  #onWritten(batch: Buffer, count: number): void {
    if (this.#writeTrouble !== "") this.#options.log.info("the access log is written again", { file: this.#place });
    this.#writeTrouble = "";
    this.#written += count;
    if (this.#written >= batch.length) this.#batch = undefined;
  }

  #onUnwritten({ code, message: error }: NodeJS.ErrnoException): void {
    const { log, clock } = this.#options;
    const isFull = code === "EAGAIN";
    if (!isFull && error !== this.#writeTrouble) {
      log.warn("the access log cannot be written; it is tried again", { file: this.#place, error });
      this.#writeTrouble = error;
    }
    this.#writeTimer = clock.after(isFull ? PIPE_RETRY_MS : RETRY_MS, () => {
      this.#writeTimer = undefined;
      this.#work();
    });
  }

  #giveUp(): void {
    if (this.#fd !== undefined && this.#fd !== STDOUT) fs.close(this.#fd, () => {});
    this.#fd = undefined;
  }
}

/**
 * A pipe is opened anew, so that a reader who sleeps holds up no thread: its flags are then ours alone. A file is written
 * where its other writers are.
 */
function openStdout(done: (fd: number) => void): void {
  fs.fstat(STDOUT, (error, stats) => {
    if (error !== null || !stats.isFIFO()) {
      done(STDOUT);
      return;
    }
    fs.open("/dev/stdout", O_WRONLY | O_NONBLOCK, (failed, fd) => done(failed === null ? fd : STDOUT));
  });
}
