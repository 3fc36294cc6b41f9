import { EventEmitter } from "node:events";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LiveScreen, type Terminal } from "./live-screen.ts";

/** A terminal as far as it is used: cursor up, erase to the end of a line or of all, home. */
class SmallTerminal extends EventEmitter implements Terminal {
  columns = 40;
  rows = 10;
  lines: string[] = ["$ tulle top"];
  cursorShown = true;
  #row = 1;
  #column = 0;
  writes = 0;

  write(text: string): void {
    this.writes++;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's language is made of them.
    for (const [token] of text.matchAll(/\u001b\[[?\d]*[A-Za-z]|\n|[^\u001b\n]+/g)) this.#take(token);
  }

  #take(token: string): void {
    const line = this.lines[this.#row] ?? "";
    if (token === "\n") {
      this.#row++;
      this.#column = 0;
    } else if (!token.startsWith("\u001b")) {
      this.lines[this.#row] = line.slice(0, this.#column) + token + line.slice(this.#column + token.length);
      this.#column += token.length;
    } else this.#obey(token.slice(2), line);
  }

  #obey(command: string, line: string): void {
    if (command === "K") this.lines[this.#row] = line.slice(0, this.#column);
    else if (command === "J") this.lines.length = Math.min(this.lines.length, this.#row);
    else if (command === "2J") this.lines = [];
    else if (command === "H") [this.#row, this.#column] = [0, 0];
    else if (command === "?25l" || command === "?25h") this.cursorShown = command === "?25h";
    else if (command.endsWith("F")) {
      this.#row -= Number(command.slice(0, -1));
      this.#column = 0;
    } else throw new Error(`not understood: ${command}`);
  }
}

describe("a live screen", () => {
  test("shows the last frame alone, below what was there before, whatever frames were shown", () => {
    const frame = fc.array(fc.stringMatching(/^[a-z]{0,20}$/), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1 }), (frames) => {
        const terminal = new SmallTerminal();
        let now: readonly string[] = [];
        const screen = new LiveScreen(terminal, () => now);
        for (const each of frames) {
          now = each;
          screen.show();
        }
        expect(terminal.lines).toEqual(["$ tulle top", ...now]);
        // The cursor's, and one for each frame.
        expect(terminal.writes).toBe(1 + frames.length);
      }),
    );
  });

  test("draws anew in the room that there is when the terminal's size changes", () => {
    const terminal = new SmallTerminal();
    const screen = new LiveScreen(terminal, (columns, lines) => [`${columns} × ${lines}`]);
    screen.show();
    expect(terminal.lines).toEqual(["$ tulle top", "39 × 9"]);
    Object.assign(terminal, { columns: 20, rows: 5 });
    terminal.emit("resize");
    expect(terminal.lines).toEqual(["19 × 4"]);
  });

  test("gives the cursor back and listens to the terminal no more", () => {
    const terminal = new SmallTerminal();
    const screen = new LiveScreen(terminal, () => ["last"]);
    expect(terminal.cursorShown).toBe(false);
    screen.show();
    screen.close();
    expect([terminal.cursorShown, terminal.listenerCount("resize"), terminal.lines.at(-1)]).toEqual([true, 0, "last"]);
  });

  test("takes a terminal that does not know its size for one of 80 × 24", () => {
    const terminal = Object.assign(new SmallTerminal(), { columns: 0, rows: 0 });
    const screen = new LiveScreen(terminal, (columns, lines) => [`${columns} × ${lines}`]);
    screen.show();
    expect(terminal.lines.at(-1)).toBe("79 × 23");
  });
});
