import { DirectWrites, streamBinding } from "./direct-writes.ts";
import { READ_BYTES, type ReadBuffers } from "./shared-read.ts";
import { WIDE_READ_BYTES, WriteBuffers } from "./write-buffers.ts";

/** What all sockets of a thread read into and write from. */
export class SocketBuffers {
  readonly write = new WriteBuffers();
  readonly direct = new DirectWrites(streamBinding());
  /** For messages: they are short, or wait in memory for somebody. */
  readonly read: ReadBuffers;
  /** For flows, which pass on what they read: the more at a time, the less it costs. */
  readonly readFlow: ReadBuffers;

  constructor() {
    const whole = Buffer.allocUnsafeSlow(WIDE_READ_BYTES);
    const usual = whole.subarray(0, READ_BYTES);
    this.read = { usual };
    this.readFlow = { usual, wide: () => (this.write.takesWide ? whole : usual) };
  }
}
