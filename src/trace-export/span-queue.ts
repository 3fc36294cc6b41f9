/**
 * Spans on their way to the collector. Taking them costs a push; they are written and leave in small pieces, so that no
 * piece holds up the calls of this thread for long. There is room for so many; what comes beyond is dropped and counted.
 * A collector that is gone is said once, asked again later and later, and said once more when it is back.
 */
import type { Clock, Timer } from "../model/clock.ts";
import type { PendingSpans, Span } from "../proxy/tracing/span.ts";
import type { Log } from "../telemetry/log.ts";
import type { SendOutcome, SpanSender } from "./span-sender.ts";

/** About a kilobyte each. */
export const MAX_WAITING = 4096;
/** Writing so many takes a millisecond or two; so does each request to the collector, however few are in it. */
export const MAX_BATCH = 256;
/** How long a span may wait for others. */
export const GATHER_MS = 1_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;

export interface SpanQueueOptions {
  readonly sender: SpanSender;
  /** For the log. */
  readonly collector: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class SpanQueue {
  readonly #options: SpanQueueOptions;
  /** About a piece at most, after which they are written, whether they can leave or not: they hold more than spans do. */
  readonly #pending: PendingSpans[] = [];
  /** So many spans they will be. */
  #pendingSpans = 0;
  readonly #waiting: Span[] = [];
  /** Under way, or to be sent again. */
  #batch: readonly Span[] = [];
  #sending = false;
  #timer: Timer | undefined;
  #retryMs = FIRST_RETRY_MS;
  #isDown = false;
  #refusalIsSaid = false;
  #overflowIsSaid = false;
  #closed = false;
  /** What comes of spans that are still under way is nobody's concern any more. */
  #over = false;
  #onIdle: (() => void) | undefined;
  sent = 0;
  /** For want of room, or because the collector would not have them. */
  dropped = 0;
  /** So many of them have been told. */
  #droppedAndSaid = 0;

  constructor(options: SpanQueueOptions) {
    this.#options = options;
  }

  add(spans: PendingSpans): void {
    const { count } = spans;
    if (this.#closed || this.#unsent + count > MAX_WAITING) {
      this.dropped += count;
      this.#sayOverflow();
      return;
    }
    this.#pending.push(spans);
    this.#pendingSpans += count;
    const ready = this.#ready;
    if (this.#isDown || this.#sending) {
      if (this.#pendingSpans >= MAX_BATCH) this.#write();
    } else if (ready < MAX_BATCH) {
      if (this.#timer === undefined) this.#flushIn(GATHER_MS);
    } else if (ready - count < MAX_BATCH) this.#flushIn(0);
  }

  /** Spans of the pieces to come. */
  get #ready(): number {
    return this.#waiting.length + this.#pendingSpans;
  }

  get #unsent(): number {
    return this.#ready + this.#batch.length;
  }

  #write(): void {
    const pending = this.#pending.splice(0);
    this.#pendingSpans = 0;
    for (const each of pending) this.#waiting.push(...each.write());
  }

  /** Sends what is here, for so long; the rest is dropped. */
  async close(withinMs: number): Promise<void> {
    this.#closed = true;
    const { clock, sender } = this.#options;
    let timer: Timer | undefined;
    const over = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      timer = clock.after(withinMs, resolve);
    });
    this.#flushIn(0);
    await over;
    this.#over = true;
    timer?.cancel();
    this.#timer?.cancel();
    this.dropped += this.#unsent;
    this.#pending.length = 0;
    this.#pendingSpans = 0;
    this.#waiting.length = 0;
    this.#batch = [];
    this.#sayLoss();
    sender.close();
  }

  #flushIn(ms: number): void {
    if (this.#sending) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(ms, () => void this.#flush());
  }

  async #flush(): Promise<void> {
    this.#timer = undefined;
    if (this.#sending) return;
    this.#write();
    if (this.#batch.length === 0) this.#batch = this.#waiting.splice(0, MAX_BATCH);
    if (this.#batch.length === 0) {
      this.#onIdle?.();
      return;
    }
    this.#sending = true;
    const outcome = await this.#options.sender.send(this.#batch);
    this.#sending = false;
    if (this.#over) return;
    const waitMs = this.#judge(outcome);
    if (waitMs > 0 || this.#closed || this.#ready > 0) this.#flushIn(waitMs || this.#gatherMs());
  }

  #gatherMs(): number {
    return this.#closed || this.#ready >= MAX_BATCH ? 0 : GATHER_MS;
  }

  /** @returns how long to leave the collector alone; 0 where all is well */
  #judge(outcome: SendOutcome): number {
    const { log, collector } = this.#options;
    if (outcome.taken) {
      const { refused } = outcome;
      this.sent += this.#batch.length - refused;
      this.dropped += refused;
      if (refused > 0) this.#sayRefusal(`it would not have ${refused} of ${this.#batch.length}`);
      else this.#refusalIsSaid = false;
      this.#batch = [];
      this.#onTaken();
      return 0;
    }
    if (!outcome.again) {
      this.#sayRefusal(outcome.reason);
      this.dropped += this.#batch.length;
      this.#batch = [];
      // It is there, whatever it thinks of these.
      this.#isDown = false;
      this.#retryMs = FIRST_RETRY_MS;
      return 0;
    }
    if (!this.#isDown)
      log.warn("spans cannot be sent; as many as there is room for wait", { collector, reason: outcome.reason });
    this.#isDown = true;
    const waitMs = Math.max(this.#retryMs, outcome.afterMs ?? 0);
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
    return Math.min(waitMs, MAX_RETRY_MS);
  }

  #onTaken(): void {
    const { log, collector } = this.#options;
    if (this.#isDown) log.info("spans can be sent again", { collector, dropped: this.#takeUnsaid() });
    else if (this.#overflowIsSaid && this.#waiting.length < MAX_WAITING / 2) {
      this.#overflowIsSaid = false;
      log.info("the collector keeps up again", { collector, dropped: this.#takeUnsaid() });
    }
    this.#isDown = false;
    this.#retryMs = FIRST_RETRY_MS;
  }

  /** While the collector is down, it is no news that there is no room. */
  #sayOverflow(): void {
    const { log, collector } = this.#options;
    if (this.#isDown || this.#overflowIsSaid || this.#closed) return;
    this.#overflowIsSaid = true;
    log.warn("spans come faster than the collector takes them; those without room are dropped", { collector });
  }

  #sayRefusal(reason: string): void {
    const { log, collector } = this.#options;
    if (!this.#refusalIsSaid) log.warn("the collector refuses spans; they are dropped", { collector, reason });
    this.#refusalIsSaid = true;
  }

  #sayLoss(): void {
    const { log, collector } = this.#options;
    const lost = this.#takeUnsaid();
    if (lost > 0) log.warn("spans were lost", { collector, dropped: lost });
  }

  /** @returns how many were dropped and not told yet; they count as told from now on */
  #takeUnsaid(): number {
    const unsaid = this.dropped - this.#droppedAndSaid;
    this.#droppedAndSaid = this.dropped;
    return unsaid;
  }
}
