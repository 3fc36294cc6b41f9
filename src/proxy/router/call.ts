import { headerLines } from "./header-lines.ts";
import { RequestPath } from "./request-path.ts";
import type { Caller, RequestView } from "./types.ts";

const NO_REQUEST: RequestView = { method: "", path: "", query: "", ...headerLines([]) };

/**
 * What the table is asked about: who calls, and with which request, if the call is HTTP. One serves a table; what is
 * worked out for a call is kept beside its `serial` until the next.
 */
export class Call {
  serial = 0;
  caller!: Caller;
  isFlow = false;
  /** Of a flow, an empty one. */
  request: RequestView = NO_REQUEST;
  /** A rule of the service port that refuses it would allow it but for its path, which is ambiguous. */
  blockedByPath = false;
  readonly #path = new RequestPath();
  #pathSerial = 0;

  begin(caller: Caller, request: RequestView | undefined): void {
    this.serial++;
    this.caller = caller;
    this.isFlow = request === undefined;
    this.request = request ?? NO_REQUEST;
    this.blockedByPath = false;
  }

  /** Read when the first condition on a path asks for it. */
  path(): RequestPath {
    if (this.#pathSerial !== this.serial) {
      this.#path.read(this.request.path);
      this.#pathSerial = this.serial;
    }
    return this.#path;
  }
}
