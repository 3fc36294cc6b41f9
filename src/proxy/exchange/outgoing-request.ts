/** A request as endpoints get it: the head in each form that they may ask for, and the content so far. */
import type { HeaderChange } from "../../config/mesh-config.ts";
import { isIdempotent } from "../middleware/retry/retry.ts";
import type { ServicePortState } from "../router/types.ts";
import type { KeptContent } from "./kept-content.ts";
import type { ForwardOptions, RequestHead } from "./message-heads.ts";
import { RequestContent } from "./request-content.ts";

export const NO_CHANGES: readonly HeaderChange[] = [];
const NO_FIELDS: readonly string[] = [];

export type Scheme = ServicePortState["config"]["scheme"];

/** Owned by the exchange and reused. */
export class OutgoingRequest {
  /** How the endpoints are spoken to. */
  scheme: Scheme = "http";
  method = "";
  /** For endpoints that speak HTTP/1.1; "" where the endpoint cannot. */
  text = "";
  /** For those that speak HTTP/2; empty where the endpoint cannot. */
  fields = NO_FIELDS;
  /** The content comes in the framing of `text`; else without any. */
  framed = false;
  /** `text` and `fields` say how long the content is, or that there is none. */
  lengthKnown = true;
  upgrade = false;
  answerChanges = NO_CHANGES;
  readonly content: RequestContent;
  /** All of it has been read. */
  done = false;
  trailers: readonly string[] | undefined;

  constructor(room: KeptContent) {
    this.content = new RequestContent(room);
  }

  /** For another request, of which nothing goes out before `write`. @param takesFraming the content comes in HTTP/1.1's */
  begin(head: RequestHead, scheme: Scheme, takesFraming: boolean): void {
    this.scheme = scheme;
    this.framed = scheme === "http" && takesFraming;
    this.done = head.bodyless;
    this.content.begin();
    this.trailers = undefined;
  }

  /** The head's bytes are the thread's: what goes out is written now. */
  write(head: RequestHead, options: ForwardOptions, answerChanges: readonly HeaderChange[]): void {
    const { scheme } = this;
    this.method = head.method;
    this.lengthKnown = head.lengthKnown;
    // What asks for another protocol can only be sent in HTTP/1.1.
    this.upgrade = head.upgrade && scheme !== "h2c";
    this.text = scheme === "h2c" ? "" : head.toHttp1(options);
    this.fields = scheme === "http" || this.upgrade ? NO_FIELDS : head.toHttp2(options);
    this.answerChanges = answerChanges;
  }

  /** What is here has been sent, or as much of it as comes at all. */
  noteSent(): void {
    // Over HTTP/2 an endpoint can say that it has not acted on what it got, so that is kept whatever the method.
    this.content.sent(this.scheme !== "http" || isIdempotent(this.method));
  }
}
