/** Figures as people read them, each in as little and as constant a width as may be. */

/** @param {number} perSecond */
export function rate(perSecond) {
  if (perSecond === 0) return "0/s";
  if (perSecond < 0.1) return "<0.1/s";
  return `${amount(perSecond)}/s`;
}

/** @param {number} part of 1 */
export function percent(part) {
  if (part === 0) return "0 %";
  const percents = part * 100;
  if (percents < 0.1) return "<0.1 %";
  return `${percents < 10 ? trim(percents.toFixed(1)) : Math.round(percents)} %`;
}

/** @param {number | undefined} ms undefined where nothing was measured */
export function duration(ms) {
  if (ms === undefined) return "–";
  if (ms < 0.05) return "<0.1 ms";
  if (ms < 1) return `${trim(ms.toFixed(1))} ms`;
  if (ms < 1000) return `${ms < 10 ? trim(ms.toFixed(1)) : Math.round(ms)} ms`;
  return `${trim((ms / 1000).toFixed(1))} s`;
}

/** @param {number} number */
export function amount(number) {
  if (number < 10) return trim(number.toFixed(1));
  if (number < 1000) return String(Math.round(number));
  if (number < 1e6) return `${trim((number / 1e3).toFixed(1))}k`;
  return `${trim((number / 1e6).toFixed(1))}M`;
}

/**
 * @param {number} number
 * @param {string} word
 * @param {string} [plural]
 */
export function count(number, word, plural = `${word}s`) {
  return `${number} ${number === 1 ? word : plural}`;
}

/** @param {Date} date */
export const clockTime = (date) => date.toLocaleTimeString("en-GB");

/**
 * In the time of whoever looks, as everything on the page.
 * @param {Date} date
 */
export const clockTimeMs = (date) => `${clockTime(date)}.${String(date.getMilliseconds()).padStart(3, "0")}`;

/** @param {string} digits */
const trim = (digits) => digits.replace(/\.0$/, "");
