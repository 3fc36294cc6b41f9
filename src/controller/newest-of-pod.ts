/** Of a proxy's connection to a replica. */
export interface Connected {
  /** Since it came. Absent: a replica of an older version told of it. */
  readonly connectedMs?: number;
}

/**
 * There may be two connections in the name of one proxy: of a proxy and of the one that takes over from it, or one that is
 * broken, which its replica has not seen yet, and the one that the proxy has now. They may be at two replicas, whose clocks
 * differ, so it goes by how long each has been there: the one that came last is told of, whichever replica is asked.
 */
export function keepNewest<Told extends Connected>(of: Map<string, Told>, pod: string, told: Told): void {
  const known = of.get(pod);
  const age = ({ connectedMs = Number.POSITIVE_INFINITY }: Connected) => connectedMs;
  if (known === undefined || age(told) <= age(known)) of.set(pod, told);
}
