/**
 * The content of a request so far, while it has not been sent or may have to be sent again. What was sent is kept if it is
 * little and there is room (KeptContent), and if an endpoint may get it once more.
 */
import type { KeptContent } from "./kept-content.ts";

/** Content up to this is kept after it was sent, so that another try can send it. */
const REPEATABLE_BYTES = 64 * 1024;

export class RequestContent {
  readonly #room: KeptContent;
  readonly #pieces: Buffer[] = [];
  #bytes = 0;
  /** Of those, counted as kept after they were sent. */
  #keptBytes = 0;
  /** The pieces are what was given, and no copies. */
  #borrows = true;
  #repeatable = true;

  constructor(room: KeptContent) {
    this.#room = room;
  }

  /** All of it is here. */
  get repeatable(): boolean {
    return this.#repeatable;
  }

  /** For another request. What comes next is borrowed until `own`: most of it leaves at once. */
  begin(): void {
    this.#pieces.length = 0;
    this.#bytes = 0;
    this.#borrows = true;
    this.#repeatable = true;
  }

  /** What it was given is about to be overwritten, and from here on whatever it is given will be. */
  own(): void {
    this.#borrows = false;
    const pieces = this.#pieces;
    for (let index = 0; index < pieces.length; index++) pieces[index] = Buffer.from(pieces[index] as Buffer);
  }

  add(bytes: Buffer): void {
    this.#pieces.push(this.#borrows ? bytes : Buffer.from(bytes));
    this.#bytes += bytes.length;
  }

  /** @returns all of it in one; undefined where there is none */
  joined(): Buffer | undefined {
    return this.#pieces.length > 1 ? Buffer.concat(this.#pieces) : this.#pieces[0];
  }

  /** What is here has been sent. @param mayComeBack an endpoint may have to get it again */
  sent(mayComeBack: boolean): void {
    const more = this.#bytes - this.#keptBytes;
    if (more === 0) return;
    if (mayComeBack && this.#bytes <= REPEATABLE_BYTES && this.#room.take(more)) this.#keptBytes += more;
    else {
      this.forget();
      this.#repeatable = false;
    }
  }

  forget(): void {
    this.#pieces.length = 0;
    this.#room.giveBack(this.#keptBytes);
    this.#keptBytes = 0;
  }
}
