import { DirectWrites, streamBinding } from "./direct-writes.ts";
import { READ_BYTES } from "./shared-read.ts";
import { WriteBuffers } from "./write-buffers.ts";

/** What all sockets of a thread read into and write from. */
export class SocketBuffers {
  readonly read = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly write = new WriteBuffers();
  readonly direct = new DirectWrites(streamBinding());
}
