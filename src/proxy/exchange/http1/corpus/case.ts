/** What a case of the corpus is, and short ways to write one. Text is bytes, one character each. */

export interface RequestCase {
  readonly name: string;
  readonly sent: string;
  /** The caller ends its side after it; otherwise another request follows. */
  readonly halfCloses: boolean;
  readonly gives:
    | { readonly kind: "passes"; readonly forwarded: string; readonly keeps: boolean }
    /** 400 or another status and a closed connection, and no byte of it at the endpoint. */
    | { readonly kind: "refused"; readonly status: number }
    /** 400 and a closed connection; if the endpoint got any of it, its connection was reset within the request. */
    | { readonly kind: "breaks" }
    /** Closed without an answer: it was no HTTP. */
    | { readonly kind: "left" };
}

export interface AnswerCase {
  readonly name: string;
  /** The request that it answers. */
  readonly to: string;
  readonly sent: string;
  readonly after: "waits" | "ends" | "resets";
  readonly gives:
    | {
        readonly kind: "passes";
        /** Byte for byte what the caller gets. */
        readonly answer: string;
        readonly keeps: boolean;
        /** The endpoint's connection serves the next request. */
        readonly reuses: boolean;
      }
    /** 502, and the endpoint's connection is not used again. */
    | { readonly kind: "refused" }
    /** 502 where nothing was passed on yet, else a broken connection; never a clean end. */
    | { readonly kind: "fails" };
}

/** First line and field lines with the empty line. */
export function head(...lines: readonly string[]): string {
  return [...lines, "", ""].join("\r\n");
}

export const get = (...fields: readonly string[]): string => head("GET / HTTP/1.1", "Host: h", ...fields);
export const post = (...fields: readonly string[]): string => head("POST / HTTP/1.1", "Host: h", ...fields);
export const ok = (...fields: readonly string[]): string => head("HTTP/1.1 200 OK", ...fields);

export const CHUNKED = "Transfer-Encoding: chunked";

/** It goes on as it came, or as `forwarded`, and the caller's connection serves the next request. */
export function passes(name: string, sent: string, forwarded = sent): RequestCase {
  return { name, sent, halfCloses: false, gives: { kind: "passes", forwarded, keeps: true } };
}

/** As passes, but the caller's connection ends with the answer. */
export function passesLast(name: string, sent: string, forwarded: string): RequestCase {
  return { name, sent, halfCloses: false, gives: { kind: "passes", forwarded, keeps: false } };
}

export function refused(name: string, sent: string, status = 400): RequestCase {
  return { name, sent, halfCloses: false, gives: { kind: "refused", status } };
}

export function breaks(name: string, sent: string): RequestCase {
  return { name, sent, halfCloses: false, gives: { kind: "breaks" } };
}

export function left(name: string, sent: string): RequestCase {
  return { name, sent, halfCloses: false, gives: { kind: "left" } };
}

/** The caller ends its side after what it sent. */
export function thenEnds(each: RequestCase): RequestCase {
  return { ...each, halfCloses: true };
}

/** It reaches the caller as it came, or as `answer`, and both connections serve the next request. */
export function answers(name: string, sent: string, answer = sent): AnswerCase {
  return {
    name,
    to: get(),
    sent,
    after: "waits",
    gives: { kind: "passes", answer, keeps: true, reuses: true },
  };
}

/** As answers, but the endpoint's connection is not used again. */
export function answersLast(
  name: string,
  sent: string,
  answer = sent,
  after: AnswerCase["after"] = "waits",
): AnswerCase {
  return { name, to: get(), sent, after, gives: { kind: "passes", answer, keeps: true, reuses: false } };
}

export function badAnswer(name: string, sent: string, after: AnswerCase["after"] = "waits"): AnswerCase {
  return { name, to: get(), sent, after, gives: { kind: "refused" } };
}

export function failingAnswer(name: string, sent: string, after: AnswerCase["after"] = "waits"): AnswerCase {
  return { name, to: get(), sent, after, gives: { kind: "fails" } };
}

export function to(request: string, each: AnswerCase): AnswerCase {
  return { ...each, to: request };
}
