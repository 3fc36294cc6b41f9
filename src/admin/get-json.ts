/** Asks the admin API of another process. */
import { type AdminPlace, getAnswer } from "./get-answer.ts";

/**
 * @param signal ends the asking, as after a time
 * @returns what was answered with status 200
 * @throws Error that says whom was asked and why there is no answer, whatever the far end does
 */
export async function getJson(place: AdminPlace, signal: AbortSignal): Promise<unknown> {
  try {
    const { status, body } = await getAnswer(place, signal);
    if (status !== 200) throw new Error(`${status} ${body.slice(0, 200).trim()}`);
    return JSON.parse(body);
  } catch (error) {
    const reason = signal.aborted ? "no answer in time" : (error as Error).message;
    throw new Error(`${place.host}:${place.port}${place.path}: ${reason}`);
  }
}
