/**
 * Addresses of the loopback cluster: 127.1.x.y for Pods, 127.2.x.y for Services, 127.3.x.y for mesh names. What stays
 * keeps its address while the mesh runs, and what comes back gets the one that it had. Only when a range is used up is
 * the address of a removed object given to another: the one that has been free for longest.
 */
export interface AddressPlan {
  /** @param key `namespace/name`. @returns undefined when the range is used up */
  podAddress(key: string): string | undefined;
  serviceAddress(key: string): string | undefined;
}

/** Hosts of 127.n.0.0/16 without those that end in 0 and 255. */
const RANGE_SIZE = 256 * 254;

class AddressRange {
  readonly #prefix: string;
  readonly #allotted = new Map<string, string>();
  readonly #taken = new Set<string>();
  /** Addresses of what was removed, with whose they were; those that have been free for longest come first. */
  readonly #resting = new Map<string, string>();
  /** The other way round: of each removed object the last of them. */
  readonly #had = new Map<string, string>();
  #next = 0;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  of(key: string): string | undefined {
    const known = this.#allotted.get(key);
    if (known !== undefined) return known;
    const address = this.#had.get(key) ?? this.#fresh();
    if (address !== undefined) this.#allot(key, address);
    return address;
  }

  /** @returns whether the object can have the address that its manifest asks for */
  reserve(key: string, address: string): boolean {
    if (this.#allotted.get(key) === address) return true;
    if (this.#taken.has(address)) return false;
    this.#release(key);
    this.#allot(key, address);
    return true;
  }

  /** Frees the addresses of all other keys. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of [...this.#allotted.keys()]) if (!keys.has(key)) this.#release(key);
  }

  #allot(key: string, address: string): void {
    const before = this.#resting.get(address);
    if (before !== undefined && this.#had.get(before) === address) this.#had.delete(before);
    this.#resting.delete(address);
    this.#had.delete(key);
    this.#allotted.set(key, address);
    this.#taken.add(address);
  }

  #release(key: string): void {
    const address = this.#allotted.get(key);
    if (address === undefined) return;
    this.#allotted.delete(key);
    this.#taken.delete(address);
    if (!address.startsWith(this.#prefix)) return;
    this.#resting.set(address, key);
    this.#had.set(key, address);
  }

  #fresh(): string | undefined {
    while (this.#next < RANGE_SIZE) {
      const number = this.#next++;
      const address = `${this.#prefix}${Math.floor(number / 254)}.${(number % 254) + 1}`;
      if (!this.#taken.has(address) && !this.#resting.has(address)) return address;
    }
    const [longest] = this.#resting.keys();
    return longest;
  }
}

export class LoopbackAddresses implements AddressPlan {
  readonly #pods = new AddressRange("127.1.");
  readonly #services = new AddressRange("127.2.");
  readonly #names = new AddressRange("127.3.");

  podAddress(key: string): string | undefined {
    return this.#pods.of(key);
  }

  serviceAddress(key: string): string | undefined {
    return this.#services.of(key);
  }

  /** Where the mesh name of a Service leads. */
  meshAddress(key: string): string | undefined {
    return this.#names.of(key);
  }

  /** @returns whether the Pod can have the loopback address that its manifest names */
  reservePod(key: string, address: string): boolean {
    return this.#pods.reserve(key, address);
  }

  reserveService(key: string, address: string): boolean {
    return this.#services.reserve(key, address);
  }

  /** Frees what the objects that are gone had. */
  keep(pods: ReadonlySet<string>, services: ReadonlySet<string>): void {
    this.#pods.keep(pods);
    this.#services.keep(services);
    this.#names.keep(services);
  }
}
