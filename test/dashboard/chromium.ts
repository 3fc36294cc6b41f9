/** The Chromium of the machine, driven by Playwright: no browser is downloaded. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** undefined where there is none on the PATH. */
export const CHROMIUM = (process.env["PATH"] ?? "")
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find(isProgram);

export const WITHOUT_CHROMIUM = CHROMIUM === undefined ? " (left out: apt-get install chromium)" : "";

/**
 * Containers rarely let a browser make its sandbox, and it opens nothing here but our own page. Letters without colours
 * at their edges make screenshots smaller.
 */
const ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-lcd-text"];

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM as string, args: ARGUMENTS });
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
