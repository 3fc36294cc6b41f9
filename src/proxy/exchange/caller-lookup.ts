import type net from "node:net";
import type { Caller, RouteTable } from "../router/types.ts";

/** Who is at the other end of a connection. An address may have come to mean another workload since the last look. */
export class CallerLookup {
  readonly #table: RouteTable;
  readonly #socket: net.Socket;
  #caller: Caller;
  #generation: number;

  constructor(table: RouteTable, socket: net.Socket) {
    this.#table = table;
    this.#socket = socket;
    this.#caller = table.caller(socket.remoteAddress ?? "");
    this.#generation = table.generation;
  }

  get caller(): Caller {
    const table = this.#table;
    if (this.#generation !== table.generation) {
      this.#caller = table.caller(this.#socket.remoteAddress ?? this.#caller.address);
      this.#generation = table.generation;
    }
    return this.#caller;
  }
}
