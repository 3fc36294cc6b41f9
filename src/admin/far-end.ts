/** Why a far end does not answer as an admin API does, in one line: any program may have the port. */

const SOMETHING_ELSE = "something else answers there";
const MAX_CHARS = 200;

/** What was asked is refused, or cannot be answered. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly status: number;
  /** In words of the far end. */
  readonly said: string;

  constructor(status: number, said: string) {
    super(`${status} ${said}`);
    this.status = status;
    this.said = said;
  }
}

/** Of an answer with another status than 200. An admin API says why in plain text, or in JSON. */
export function refusalOf(status: number, type: string | undefined, body: string): Error {
  if (type !== undefined && !/^(text\/plain|application\/json)\b/.test(type)) return somethingElse(type);
  // The first line of it, without what would move the cursor of a terminal.
  const [line = ""] = body.trim().split("\n", 1);
  return new RefusedError(status, line.slice(0, MAX_CHARS).replace(/\p{C}/gu, " ").trim());
}

/** @param type of the content that was not to be */
export function somethingElse(type: string | undefined): Error {
  const what = /^[\w.+/-]{1,50}/.exec(type ?? "")?.[0];
  return new Error(what === undefined ? SOMETHING_ELSE : `${SOMETHING_ELSE} (${what})`);
}

/** Of an error of the connection, or of what came over it. */
export function failureOf(error: Error): string {
  // It speaks no HTTP.
  return (error as NodeJS.ErrnoException).code?.startsWith("HPE_") === true ? SOMETHING_ELSE : error.message;
}
