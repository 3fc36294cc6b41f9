import type { Resolver } from "node:dns/promises";

/** Addresses of both families. @throws Error with what DNS said, where it has none of either */
export async function addressesOf(name: string, resolver: Resolver): Promise<string[]> {
  const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  const found = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (found.length > 0) return found;
  const reasons = answers.flatMap((answer) => (answer.status === "rejected" ? (answer.reason as Error).message : []));
  throw new Error([...new Set(reasons)].join(", "));
}
