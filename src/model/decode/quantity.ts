/** Kubernetes' quantities (`500m`, `1`, `0.25`, `2k`, `1Ki`, `1e3`), as far as they are not below zero. */
const QUANTITY = /^\+?(\d+(?:\.\d*)?|\.\d+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,2}))?$/;
const DECIMAL = ["k", "M", "G", "T", "P", "E"];
const SMALL: Readonly<Record<string, number>> = { n: 1e-9, u: 1e-6, m: 1e-3 };

/** @returns in thousandths, so that shares keep their ratio whatever each is written in; undefined for no quantity */
export function quantityThousandths(written: string | number): number | undefined {
  const [, amount, suffix = "", exponent = "0"] = QUANTITY.exec(String(written)) ?? [];
  if (amount === undefined) return undefined;
  // `500m` must be 500 and not 500.00000000000006.
  if (suffix === "m") return Number(amount);
  return Number(amount) * 1000 * scale(suffix) * 10 ** Number(exponent);
}

function scale(suffix: string): number {
  const small = SMALL[suffix];
  if (small !== undefined) return small;
  const power = DECIMAL.findIndex((each) => each.toLowerCase() === suffix.charAt(0).toLowerCase()) + 1;
  return suffix.endsWith("i") ? 1024 ** power : 1000 ** power;
}
