/** Asks the admin API of another process. */
import { failureOf, RefusedError, refusalOf, somethingElse } from "./far-end.ts";
import { type AdminPlace, type GotAnswer, getAnswer } from "./get-answer.ts";

/**
 * @param signal ends the asking, as after a time
 * @returns what was answered with status 200
 * @throws Error that says whom was asked and why there is no answer, whatever the far end does; its cause is a
 *   RefusedError where that has another status
 */
export async function getJson(place: AdminPlace, signal: AbortSignal): Promise<unknown> {
  try {
    return readJson(await getAnswer(place, signal));
  } catch (error) {
    const reason = signal.aborted ? "no answer in time" : failureOf(error as Error);
    const message = `${place.host}:${place.port}${place.path}: ${reason}`;
    throw error instanceof RefusedError ? new Error(message, { cause: error }) : new Error(message);
  }
}

function readJson({ status, headers, body }: GotAnswer): unknown {
  const type = headers["content-type"];
  if (status !== 200) throw refusalOf(status, type, body);
  try {
    return JSON.parse(body);
  } catch {
    throw somethingElse(type);
  }
}
