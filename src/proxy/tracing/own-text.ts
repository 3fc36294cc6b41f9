/**
 * A part of a text, such as a head, keeps the whole in memory. This keeps none.
 * @param text a character a byte
 * @param length characters that are kept at most
 */
export const ownText = (text: string, length = text.length): string =>
  Buffer.from(text.length > length ? text.slice(0, length) : text, "latin1").toString("latin1");
