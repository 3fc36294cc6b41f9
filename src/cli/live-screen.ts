/**
 * Lines that are replaced in place at the end of a terminal, without taking its screen: what was there before can be
 * scrolled back to, and the last frame stays. Each frame is one write and overwrites the one before, so nothing flickers.
 */

export interface Terminal {
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
  on(event: "resize", listener: () => void): unknown;
  off(event: "resize", listener: () => void): unknown;
}

const ESC = "\u001b[";
const [HIDE_CURSOR, SHOW_CURSOR] = [`${ESC}?25l`, `${ESC}?25h`];
const [TO_LINE_END, TO_END, CLEAR] = [`${ESC}K`, `${ESC}J`, `${ESC}H${ESC}2J`];
const [DEFAULT_COLUMNS, DEFAULT_ROWS] = [80, 24];

export class LiveScreen {
  readonly #terminal: Terminal;
  readonly #draw: (columns: number, lines: number) => readonly string[];
  readonly #onResize = () => this.#resized();
  /** Of the frame that is shown. */
  #lines = 0;

  /** @param draw what to show; lines may have colours, and are no longer and no more than it is told */
  constructor(terminal: Terminal, draw: (columns: number, lines: number) => readonly string[]) {
    this.#terminal = terminal;
    this.#draw = draw;
    terminal.write(HIDE_CURSOR);
    terminal.on("resize", this.#onResize);
  }

  show(): void {
    // Some say 0 for what they do not know.
    const columns = this.#terminal.columns || DEFAULT_COLUMNS;
    const rows = this.#terminal.rows || DEFAULT_ROWS;
    // One of each is kept free for the cursor: at the last line the screen would scroll, at the last column what erases
    // the rest of the line would erase its end.
    const lines = this.#draw(columns - 1, Math.max(1, rows - 1));
    const up = this.#lines === 0 ? "" : `${ESC}${this.#lines}F`;
    this.#lines = lines.length;
    this.#terminal.write(`${up}${lines.map((line) => `${line}${TO_LINE_END}\n`).join("")}${TO_END}`);
  }

  /** The last frame stays. */
  close(): void {
    this.#terminal.off("resize", this.#onResize);
    this.#terminal.write(SHOW_CURSOR);
  }

  /** Terminals break lines anew in ways of their own: where ours are now is not known. */
  #resized(): void {
    this.#terminal.write(CLEAR);
    this.#lines = 0;
    this.show();
  }
}
