/** What the peer said of itself by SETTINGS, RFC 9113 §6.5.2, so far as we act by it. */
import {
  DEFAULT_WINDOW_BYTES,
  ENABLE_PUSH,
  FRAME_PAYLOAD_BYTES,
  INITIAL_WINDOW_SIZE,
  MAX_CONCURRENT_STREAMS,
  MAX_FRAME_SIZE,
} from "./frames.ts";

/** What a peer is assumed to allow before it said so (§6.5.2 asks for no less). */
const ASSUMED_MAX_STREAMS = 100;

export class PeerSettings {
  /** The window with which its streams begin. */
  windowBytes = DEFAULT_WINDOW_BYTES;
  /** Streams of ours at once. */
  maxStreams = ASSUMED_MAX_STREAMS;

  /** @param ofClient a client said so. @returns what the connection ends for, or "". A window may be beyond all bounds. */
  take(setting: number, value: number, ofClient: boolean): string {
    switch (setting) {
      case ENABLE_PUSH:
        return value > 1 || (value === 1 && !ofClient) ? "bad ENABLE_PUSH" : "";
      case MAX_CONCURRENT_STREAMS:
        this.maxStreams = value;
        return "";
      case INITIAL_WINDOW_SIZE:
        this.windowBytes = value;
        return "";
      case MAX_FRAME_SIZE:
        return value < FRAME_PAYLOAD_BYTES || value > 0xff_ffff ? "bad MAX_FRAME_SIZE" : "";
      default:
        // Of the table's size we make no use, of the list's no promise; unknown ones are ignored (§6.5.2).
        return "";
    }
  }
}
