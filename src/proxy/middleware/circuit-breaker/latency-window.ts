/**
 * Latencies of the last minute: six histograms of ten seconds, and their sum, which is what is asked. A histogram is
 * log-linear: exact to an eighth of a millisecond up to 32 ms, then 128 steps for each doubling, so that what it answers
 * is at most 0.8 % above the truth. Arrays grow to the longest latency seen.
 */
const WINDOW_MS = 10_000;
const WINDOWS = 6;
const UNITS_PER_MS = 8;
const LINEAR = 256;
const STEPS = 128;
/** About 35 minutes; longer ones count as that. */
const MAX_UNITS = 2 ** 24 - 1;
const FIRST_CELLS = 512;

export class LatencyWindow {
  readonly #windows: Uint32Array[] = [];
  readonly #counts = new Float64Array(WINDOWS);
  #sum = new Uint32Array(FIRST_CELLS);
  #total = 0;
  #period = 0;

  constructor() {
    for (let index = 0; index < WINDOWS; index++) this.#windows.push(new Uint32Array(FIRST_CELLS));
  }

  record(now: number, latencyMs: number): void {
    this.#advance(now);
    const cell = cellOf(latencyMs);
    if (cell >= this.#sum.length) this.#grow(cell);
    const index = this.#period % WINDOWS;
    const window = this.#windows[index] as Uint32Array;
    window[cell] = (window[cell] as number) + 1;
    this.#sum[cell] = (this.#sum[cell] as number) + 1;
    this.#counts[index] = (this.#counts[index] as number) + 1;
    this.#total++;
  }

  /** @param quantile 0 to 100. @returns whole milliseconds, rounded down; 0 where nothing was recorded */
  quantileMs(now: number, quantile: number): number {
    this.#advance(now);
    if (this.#total === 0) return 0;
    const rank = Math.min(this.#total, Math.max(1, Math.floor((quantile / 100) * this.#total + 0.5)));
    let seen = 0;
    for (let cell = 0; cell < this.#sum.length; cell++) {
      seen += this.#sum[cell] as number;
      if (seen >= rank) return wholeMsOf(cell);
    }
    return 0;
  }

  reset(): void {
    for (let index = 0; index < WINDOWS; index++) this.#clear(index);
  }

  #advance(now: number): void {
    const period = Math.floor(now / WINDOW_MS);
    const passed = Math.min(WINDOWS, period - this.#period);
    for (let step = 0; step < passed; step++) this.#clear((period - step) % WINDOWS);
    if (passed > 0) this.#period = period;
  }

  #clear(index: number): void {
    if (this.#counts[index] === 0) return;
    const window = this.#windows[index] as Uint32Array;
    for (let cell = 0; cell < window.length; cell++) {
      this.#sum[cell] = (this.#sum[cell] as number) - (window[cell] as number);
    }
    window.fill(0);
    this.#total -= this.#counts[index] as number;
    this.#counts[index] = 0;
  }

  #grow(cell: number): void {
    let cells = this.#sum.length;
    while (cells <= cell) cells *= 2;
    this.#sum = grown(this.#sum, cells);
    for (let index = 0; index < WINDOWS; index++) {
      this.#windows[index] = grown(this.#windows[index] as Uint32Array, cells);
    }
  }
}

function grown(from: Uint32Array, cells: number): Uint32Array<ArrayBuffer> {
  const to = new Uint32Array(cells);
  to.set(from);
  return to;
}

function cellOf(latencyMs: number): number {
  const units = Math.min(MAX_UNITS, Math.max(0, Math.floor(latencyMs * UNITS_PER_MS)));
  if (units < LINEAR) return units;
  const shift = 24 - Math.clz32(units);
  return LINEAR + (shift - 1) * STEPS + (units >>> shift) - STEPS;
}

/** The greatest whole number of milliseconds that a latency of this cell can reach. */
function wholeMsOf(cell: number): number {
  if (cell < LINEAR) return Math.floor(cell / UNITS_PER_MS);
  const shift = Math.floor((cell - LINEAR) / STEPS) + 1;
  const lastUnit = ((((cell - LINEAR) % STEPS) + STEPS + 1) << shift) - 1;
  return Math.floor(lastUnit / UNITS_PER_MS);
}
