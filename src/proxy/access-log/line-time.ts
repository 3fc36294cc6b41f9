/** Times as lines have them. Most lines are of the same second as the one before, and a date is dear to write. */

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** @param write what is the same throughout a second */
function bySecond(write: (at: Date) => string): (ms: number) => string {
  let second = Number.NaN;
  let text = "";
  return (ms) => {
    const now = Math.floor(ms / 1000);
    if (now !== second) {
      second = now;
      text = write(new Date(now * 1000));
    }
    return text;
  };
}

/** `2000-10-10T13:55:36.` of RFC 3339, in UTC, up to the fraction. @param ms since the epoch */
export const isoSecond: (ms: number) => string = bySecond((at) => at.toISOString().slice(0, -4));

const two = (number: number) => String(number).padStart(2, "0");

/** `10/Oct/2000:13:55:36 +0000`, of the Common Log Format. @param ms since the epoch */
export const clfTime: (ms: number) => string = bySecond((at) => {
  const day = `${two(at.getUTCDate())}/${MONTHS[at.getUTCMonth()]}/${at.getUTCFullYear()}`;
  return `${day}:${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())} +0000`;
});
