/** What lines are written to: a file, or a pipe. Another thread does what is asked of it, one thing at a time. */
import fs from "node:fs";

/** Another thread has to be woken for each. */
export const FLUSH_BYTES = 128 * 1024;
/** What a pipe takes in one piece, pipe(7), so that several processes may have the same. */
const PIPE_BUF = 4_096;
const STDOUT = 1;
const LINE_FEED = Buffer.from("\n");

const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = fs.constants;
/** Not to wait for the reader of a named pipe, which would hold up a thread. */
const APPEND = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK;
/** Whose names may be of what is open already, and has no other. */
const SYSTEM_PATH = /^\/(?:proc|dev(?!\/shm))\//;

interface PlaceOptions {
  /** Absent: standard output. */
  readonly file?: string;
  /** Other processes may write to it too. */
  readonly shared: boolean;
}

type OnDone = (error: NodeJS.ErrnoException | null, count: number) => void;

export class LinePlace {
  readonly #fd: number;
  readonly #isFile: boolean;
  readonly #isOurs: boolean;
  /** As it was seen last, and what was written since. */
  #size: number;
  /** It ends within a line. */
  #isTorn = false;
  /** To write at once. */
  readonly maxBytes: number;
  /** It may go while it is open. */
  readonly canBeDeleted: boolean;

  private constructor({ file, shared }: PlaceOptions, fd: number, stats: fs.Stats) {
    this.#fd = fd;
    this.#isFile = stats.isFile();
    this.#isOurs = file !== undefined && !shared;
    this.#size = stats.size;
    this.maxBytes = file === undefined || stats.isFIFO() ? PIPE_BUF : FLUSH_BYTES;
    this.canBeDeleted = this.#isFile && file !== undefined && !SYSTEM_PATH.test(file);
  }

  static open(
    options: PlaceOptions,
    onOpen: (place: LinePlace) => void,
    onError: (error: NodeJS.ErrnoException) => void,
  ): void {
    const look = (fd: number) =>
      fs.fstat(fd, (error, stats) => {
        if (error === null) onOpen(new LinePlace(options, fd, stats));
        else {
          close(fd);
          onError(error);
        }
      });
    if (options.file === undefined) openStdout(look);
    else fs.open(options.file, APPEND, 0o644, (error, fd) => (error === null ? look(fd) : onError(error)));
  }

  /** @param onDone gets how many bytes from `from` on were written */
  write(bytes: Buffer, from: number, onDone: OnDone): void {
    if (!this.#isTorn) this.#write(bytes, from, onDone);
    else
      this.#write(LINE_FEED, 0, (error) => {
        this.#isTorn = error !== null;
        onDone(error, 0);
      });
  }

  /**
   * What was written last is `count` bytes of a line, and more of it cannot be written for now: the whole line will be, from
   * its beginning. They are taken back where nobody else writes; where others may have written after them, the cut line
   * stays, and is ended before the next.
   */
  leaveLine(count: number, onDone: () => void): void {
    if (!this.#isFile) onDone();
    else if (!this.#isOurs) this.#leaveTorn(onDone);
    else
      fs.fstat(this.#fd, (error, stats) => {
        if (error === null && stats.size === this.#size) this.#cut(count, onDone);
        else if (error === null && stats.size === 0) {
          // It was emptied, as those who copy logs do.
          this.#size = 0;
          onDone();
        } else this.#leaveTorn(onDone);
      });
  }

  /** @param onDone gets whether the file was deleted: what is written to it is nowhere */
  look(onDone: (isDeleted: boolean) => void): void {
    fs.fstat(this.#fd, (error, stats) => {
      if (error === null) this.#size = stats.size;
      onDone(error === null && stats.nlink === 0);
    });
  }

  close(): void {
    close(this.#fd);
  }

  #write(bytes: Buffer, from: number, onDone: OnDone): void {
    fs.write(this.#fd, bytes, from, null, null, (error, count) => {
      if (error === null) this.#size += count;
      onDone(error, count);
    });
  }

  #cut(count: number, onDone: () => void): void {
    fs.ftruncate(this.#fd, this.#size - count, (error) => {
      if (error !== null) {
        this.#leaveTorn(onDone);
        return;
      }
      this.#size -= count;
      onDone();
    });
  }

  #leaveTorn(onDone: () => void): void {
    this.#isTorn = true;
    onDone();
  }
}

function close(fd: number): void {
  if (fd !== STDOUT) fs.close(fd, () => {});
}

/**
 * A pipe is opened anew, so that a reader who sleeps holds up no thread: its flags are then ours alone. A file is written
 * where its other writers are.
 */
function openStdout(onOpen: (fd: number) => void): void {
  fs.fstat(STDOUT, (error, stats) => {
    if (error !== null || !stats.isFIFO()) {
      onOpen(STDOUT);
      return;
    }
    fs.open("/dev/stdout", O_WRONLY | O_NONBLOCK, (failed, fd) => onOpen(failed === null ? fd : STDOUT));
  });
}
