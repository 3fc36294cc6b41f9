/** Of a proxy's connection to a replica. */
export interface Connected {
  /** Since it came. Absent: a replica of an older version told of it. */
  readonly connectedMs?: number;
  /** Another proxy of its name has the counts of the node, as far as this one has said. */
  readonly standsBy?: boolean;
}

/**
 * There may be two connections in the name of one proxy: of a proxy and of the one that takes over from it, or one that is
 * broken, which its replica has not seen yet, and the one that the proxy has now. Of the first two one stands by, and the
 * other is told of. Otherwise it is the one that came last, whichever replica is asked: they may be at two replicas, whose
 * clocks differ, so it goes by how long each has been there.
 */
export function keepNewest<Told extends Connected>(of: Map<string, Told>, pod: string, told: Told): void {
  const known = of.get(pod);
  if (known === undefined || comesBefore(told, known)) of.set(pod, told);
}

function comesBefore(a: Connected, b: Connected): boolean {
  const [aStandsBy = false, bStandsBy = false] = [a.standsBy, b.standsBy];
  if (aStandsBy !== bStandsBy) return bStandsBy;
  const age = ({ connectedMs = Number.POSITIVE_INFINITY }: Connected) => connectedMs;
  return age(a) <= age(b);
}
