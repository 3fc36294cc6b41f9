/**
 * The content of a request so far, while it has not been sent or may have to be sent again. What was sent is kept if it is
 * little and there is room (KeptContent), and if an endpoint may get it once more.
 */
import type { KeptContent } from "./kept-content.ts";

/** Content up to this is kept after it was sent, so that another try can send it. */
const REPEATABLE_BYTES = 64 * 1024;

/** Content comes in pieces of any size, and a Buffer for each would take far more than what is in it. */
const FIRST_BYTES = 4 * 1024;

export class RequestContent {
  readonly #room: KeptContent;
  /** What was given and is not copied yet; at most that of one read. */
  readonly #borrowed: Buffer[] = [];
  /** The copy, of which the first `#copiedBytes` are in use. */
  #copy: Buffer | undefined;
  #copiedBytes = 0;
  #bytes = 0;
  /** Of those, counted as kept after they were sent. */
  #keptBytes = 0;
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
    this.#drop();
    this.#bytes = 0;
    this.#borrows = true;
    this.#repeatable = true;
  }

  /** What it was given is about to be overwritten, and from here on whatever it is given will be. */
  own(): void {
    this.#borrows = false;
    const borrowed = this.#borrowed;
    for (let index = 0; index < borrowed.length; index++) this.#append(borrowed[index] as Buffer);
    if (borrowed.length > 0) borrowed.length = 0;
  }

  add(bytes: Buffer): void {
    if (this.#borrows) this.#borrowed.push(bytes);
    else this.#append(bytes);
    this.#bytes += bytes.length;
  }

  /** @returns all of it in one, until more is added; undefined where there is none */
  joined(): Buffer | undefined {
    if (this.#copy !== undefined) return this.#copy.subarray(0, this.#copiedBytes);
    return this.#borrowed.length > 1 ? Buffer.concat(this.#borrowed) : this.#borrowed[0];
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
    this.#drop();
    this.#room.giveBack(this.#keptBytes);
    this.#keptBytes = 0;
  }

  #drop(): void {
    if (this.#borrowed.length > 0) this.#borrowed.length = 0;
    this.#copy = undefined;
    this.#copiedBytes = 0;
  }

  #append(bytes: Buffer): void {
    const needed = this.#copiedBytes + bytes.length;
    const before = this.#copy;
    if (before === undefined || before.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, (before?.length ?? 0) * 2, FIRST_BYTES));
      before?.copy(grown, 0, 0, this.#copiedBytes);
      this.#copy = grown;
    }
    bytes.copy(this.#copy as Buffer, this.#copiedBytes);
    this.#copiedBytes = needed;
  }
}
