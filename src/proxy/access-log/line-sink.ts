/**
 * Where lines go: a file, or standard output. Whoever has a line hands it over and goes on: it is written with others from
 * time to time, by another thread, and what cannot be written waits in a bounded buffer. What does not fit there is lost,
 * counted, and said once. A disk that is full, a folder that is gone, a reader that sleeps: a warning, and another try.
 *
 * Each write is of whole lines to a file opened for appending, or at most so long as a pipe takes in one piece (pipe(7)),
 * so that several processes may have the same file or the same pipe.
 */
import type { Clock, Timer } from "../../model/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import type { LineBytes } from "./line-bytes.ts";
import { FLUSH_BYTES, LinePlace } from "./line-place.ts";
import { LINE_FEED, LineQueue, linesIn } from "./line-queue.ts";

/** How long a line may wait for others, or until FLUSH_BYTES are together. */
const FLUSH_MS = 50;
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** Between tries where something is wrong. */
const RETRY_MS = 1_000;
/** Where a pipe is full. */
const PIPE_RETRY_MS = 20;
/** Whether the file is still there. */
const LOOK_MS = 1_000;
/** At the end, a place that takes nothing is not waited for. */
const CLOSE_MS = 1_000;

export interface LineSinkOptions {
  /** Absent: standard output. */
  readonly file?: string;
  /** Other processes may write to the file too. */
  readonly shared: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

export class LineSink {
  readonly #options: LineSinkOptions;
  readonly #name: string;
  readonly #lines = new LineQueue(MAX_WAITING_BYTES, FLUSH_BYTES);
  #place: LinePlace | undefined;
  /** There is a place to open: at the start, and where the file was moved away. */
  #unopened = true;
  #lookedAt = 0;
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
  /** A pipe, of which its reader takes nothing. */
  #isFull = false;
  #lost = 0;
  #onWrittenAll: (() => void) | undefined;
  #closing = false;
  #closed = false;

  /** Opens the place at once: what is wrong with it is said before there is a line. */
  constructor(options: LineSinkOptions) {
    this.#options = options;
    this.#name = options.file ?? "standard output";
    this.#work();
  }

  /** For the next line, of ASCII, with its line feed; then `add` it. */
  get line(): LineBytes {
    return this.#lines.line;
  }

  /** The line is whole. */
  add(): void {
    if (this.#closed) {
      this.#lines.line.drop();
      if (this.#lost++ === 0) this.#options.log.warn("the access log is closed: calls that end now have no line");
      return;
    }
    if (!this.#lines.add()) {
      if (this.#lost++ === 0) this.#sayLoss();
      return;
    }
    if (this.#busy || this.#writeTimer !== undefined) return;
    if (this.#closing || this.#lines.bytes >= FLUSH_BYTES) this.#work();
    else this.#flushTimer ??= this.#options.clock.after(FLUSH_MS, () => this.#work());
  }

  /** The file was moved away: what comes now goes to a new one of its name. */
  reopen(): void {
    if (this.#options.file === undefined) return;
    this.#unopened = true;
    this.#openTimer?.cancel();
    this.#openTimer = undefined;
    this.#work();
  }

  /** Resolves when all is written, what comes meanwhile too, or cannot be in time; then says how many lines are lost. */
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
    this.#sayLeft();
    this.#work();
  }

  /** The next of: open, write, rest. One at a time, so that lines stay in order. */
  #work(): void {
    if (this.#busy) return;
    this.#flushTimer?.cancel();
    this.#flushTimer = undefined;
    if (this.#closed) this.#leave();
    else if (this.#mayOpen()) this.#open();
    else if (this.#batch === undefined && this.#lines.bytes === 0) this.#rest();
    // Where a new file cannot be had, the old one still takes lines.
    else if (this.#place !== undefined && this.#writeTimer === undefined) this.#goOn(this.#place);
  }

  /** A line that has begun in one file is written to its end there, if it can be. */
  #mayOpen(): boolean {
    if (!this.#unopened || this.#openTimer !== undefined) return false;
    return this.#place === undefined || this.#writeTimer !== undefined || this.#begunBytes() === 0;
  }

  #rest(): void {
    const { log } = this.#options;
    if (this.#lost > 0) log.warn("the access log lost lines", { file: this.#name, lines: this.#lost });
    this.#lost = 0;
    this.#onWrittenAll?.();
  }

  #open(): void {
    this.#busy = true;
    // Who asks for it from now on, asks for another one.
    this.#unopened = false;
    LinePlace.open(
      this.#options,
      (place) => this.#onOpened(place),
      (error) => this.#onUnopened(error),
    );
  }

  #onOpened(place: LinePlace): void {
    const { log, clock } = this.#options;
    this.#busy = false;
    this.#leave();
    this.#place = place;
    this.#lookedAt = clock.now();
    this.#writeTimer?.cancel();
    this.#writeTimer = undefined;
    // A new file begins with the beginning of a line.
    this.#written -= this.#begunBytes();
    if (this.#openTrouble !== "") log.info("the access log is open now", { file: this.#name });
    this.#openTrouble = "";
    this.#work();
  }

  #onUnopened({ code, message }: NodeJS.ErrnoException): void {
    const { log, clock } = this.#options;
    this.#busy = false;
    this.#unopened = true;
    const error = code === "ENXIO" ? "nobody reads the pipe" : message;
    if (error !== this.#openTrouble)
      log.warn("the access log cannot be opened; it is tried again", { file: this.#name, error });
    this.#openTrouble = error;
    this.#openTimer = clock.after(RETRY_MS, () => {
      this.#openTimer = undefined;
      this.#work();
    });
    this.#work();
  }

  #goOn(place: LinePlace): void {
    const now = this.#options.clock.now();
    if (place.canBeDeleted && now - this.#lookedAt >= LOOK_MS) this.#look(place, now);
    else this.#write(place);
  }

  /** A file that was moved goes on until it is said to be opened anew; one that was deleted would keep nothing. */
  #look(place: LinePlace, now: number): void {
    this.#busy = true;
    this.#lookedAt = now;
    place.look((isDeleted) => {
      this.#busy = false;
      if (isDeleted && !this.#closed) {
        this.#options.log.warn("the access log was deleted; it is opened anew", { file: this.#name });
        this.#leave();
        this.#unopened = true;
      }
      this.#work();
    });
  }

  #write(place: LinePlace): void {
    if (this.#batch === undefined) {
      this.#batch = this.#lines.take(place.maxBytes);
      this.#written = 0;
    }
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#busy = true;
    place.write(batch, this.#written, (error, count) => {
      this.#busy = false;
      if (this.#closed) this.#work();
      else if (error === null) this.#onWritten(batch, count);
      else this.#onUnwritten(place, error);
    });
  }

  #onWritten(batch: Buffer, count: number): void {
    this.#isFull = false;
    this.#written += count;
    if (this.#written >= batch.length) {
      this.#batch = undefined;
      // Of a full disk, the part of a line that is taken back each time is free each time.
      if (this.#writeTrouble !== "") this.#options.log.info("the access log is written again", { file: this.#name });
      this.#writeTrouble = "";
    }
    this.#work();
  }

  #onUnwritten(place: LinePlace, { code, message: error }: NodeJS.ErrnoException): void {
    const { log, clock } = this.#options;
    this.#isFull = code === "EAGAIN";
    if (!this.#isFull && error !== this.#writeTrouble) {
      log.warn("the access log cannot be written; it is tried again", { file: this.#name, error });
      this.#writeTrouble = error;
    }
    this.#writeTimer = clock.after(this.#isFull ? PIPE_RETRY_MS : RETRY_MS, () => {
      this.#writeTimer = undefined;
      this.#work();
    });
    const begun = this.#isFull ? 0 : this.#begunBytes();
    this.#written -= begun;
    if (begun > 0) this.#leaveLine(place, begun);
    else this.#work();
  }

  #leaveLine(place: LinePlace, begun: number): void {
    this.#busy = true;
    place.leaveLine(begun, () => {
      this.#busy = false;
      this.#work();
    });
  }

  /** Of what was written, those that are no whole line. */
  #begunBytes(): number {
    if (this.#batch === undefined || this.#written === 0) return 0;
    return this.#written - (this.#batch.lastIndexOf(LINE_FEED, this.#written - 1) + 1);
  }

  #leave(): void {
    this.#place?.close();
    this.#place = undefined;
  }

  #sayLoss(): void {
    const { log } = this.#options;
    const error = this.#place === undefined ? this.#openTrouble : this.#writeTrouble;
    if (error === "") log.warn("the access log loses lines: they come faster than they go", { file: this.#name });
    else log.warn("the access log loses lines: there is no more room to wait", { file: this.#name, error });
  }

  /** Of lines that wait at the end, and those lost before of which it is not said yet. */
  #sayLeft(): void {
    const { log } = this.#options;
    const begun = this.#batch === undefined ? 0 : linesIn(this.#batch, this.#written, this.#batch.length);
    const lines = this.#lost + begun + this.#lines.countLines();
    this.#lost = 0;
    if (lines === 0) return;
    const trouble = this.#place === undefined ? this.#openTrouble : this.#writeTrouble;
    const slow = this.#isFull ? "its reader takes no more" : `not done within ${CLOSE_MS} ms`;
    log.warn("the access log lost lines: they could not be written before the end", {
      file: this.#name,
      lines,
      error: trouble === "" ? slow : trouble,
    });
  }
}
