import type { Change } from "../../config/changes.ts";
import type { Workload } from "../../config/mesh-config.ts";
import type { Caller } from "./types.ts";

/** Who calls, by the address of the peer. */
export class CallerTable {
  #workloads: Readonly<Record<string, Workload>> = {};
  readonly #known = new Map<string, Caller>();

  /** @param changes since the one before; absent: anything may be another */
  apply(workloads: Readonly<Record<string, Workload>>, changes?: readonly Change[]): void {
    this.#workloads = workloads;
    if (changes !== undefined) {
      for (const { section, key } of changes) if (section === "workloads") this.#known.delete(key);
      return;
    }
    for (const [address, { workload }] of this.#known)
      if (this.#workloads[address] !== workload) this.#known.delete(address);
  }

  /** @param address as a socket gives it */
  lookUp(address: string): Caller {
    // A dual-stack socket's way to write an IPv4 peer (RFC 4291 §2.5.5.2).
    const plain = address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
    const known = this.#known.get(plain);
    if (known !== undefined) return known;
    // Strangers are not kept: there may be any number of them.
    if (!Object.hasOwn(this.#workloads, plain)) return { address: plain, workload: undefined, identity: undefined };
    const workload = this.#workloads[plain] as Workload;
    const caller = { address: plain, workload, identity: `${workload.namespace}/${workload.serviceAccount}` };
    this.#known.set(plain, caller);
    return caller;
  }
}
