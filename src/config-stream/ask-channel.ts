/**
 * Questions over a connection that stands anyway: either end may ask the other for one of its admin API's paths, and gets
 * the answer in pieces, at once or for as long as it listens. So a controller sees live calls at proxies that open no port
 * for it, and nobody else can.
 *
 *     ask       id, path          cancel     id: the answer is not wanted any more
 *     answer    id, text          answered   id, status: no more comes
 */
import { z } from "zod";

const id = z.int().min(1);
const AskSchema = z.object({ type: z.literal("ask"), id, path: z.string().max(16 * 1024) });
const CancelSchema = z.object({ type: z.literal("cancel"), id });
const AnswerSchema = z.object({ type: z.literal("answer"), id, text: z.string() });
const AnsweredSchema = z.object({ type: z.literal("answered"), id, status: z.int() });

/** Each variant apart, so that they fit into the unions of either direction. */
export const ASK_SCHEMAS = [AskSchema, CancelSchema, AnswerSchema, AnsweredSchema] as const;
export const AskMessageSchema = z.discriminatedUnion("type", ASK_SCHEMAS);
export type AskMessage = z.infer<typeof AskMessageSchema>;

/** Where an answer goes. */
export interface AnswerOutput {
  /** @returns false where the other end is behind, or gone: nothing was written */
  write(text: string): boolean;
  /** @param status as in HTTP */
  end(status: number): void;
}

/** Who answers. @returns ends the answer early */
export type Answerer = (path: string, output: AnswerOutput) => () => void;

/** Who asked. Nothing is called after the cancelling, nor before `ask` returned. */
export interface AnswerReader {
  onText(text: string): void;
  /** @param status as in HTTP; 0 where the connection went first */
  onEnd(status: number): void;
}

/** What an asker may have open at the other end. */
const MAX_OPEN = 64;
/** Of an answer; escaped as JSON it is at most six times that, which a line can hold. */
const PIECE_CHARACTERS = 8 * 1024;

export interface AskChannelOptions {
  /** Sends a message, however far behind the other end is. */
  send(message: AskMessage): void;
  /** The other end does not take what was sent. */
  isBehind(): boolean;
  /** Absent: nothing is answered here. */
  readonly answerer?: Answerer;
}

/** One end of a connection. */
export class AskChannel {
  readonly #options: AskChannelOptions;
  readonly #asked = new Map<number, AnswerReader>();
  readonly #answering = new Map<number, () => void>();
  #lastId = 0;
  #closed = false;

  constructor(options: AskChannelOptions) {
    this.#options = options;
  }

  /** @returns says that the answer is not wanted any more */
  ask(path: string, reader: AnswerReader): () => void {
    const asked = ++this.#lastId;
    this.#asked.set(asked, reader);
    this.#options.send({ type: "ask", id: asked, path });
    return () => {
      if (this.#asked.delete(asked)) this.#options.send({ type: "cancel", id: asked });
    };
  }

  take(message: AskMessage): void {
    switch (message.type) {
      case "ask":
        this.#answer(message.id, message.path);
        return;
      case "cancel":
        this.#stop(message.id);
        return;
      case "answer":
        this.#asked.get(message.id)?.onText(message.text);
        return;
      case "answered": {
        const reader = this.#asked.get(message.id);
        this.#asked.delete(message.id);
        reader?.onEnd(message.status);
      }
    }
  }

  /** The connection is gone. */
  close(): void {
    this.#closed = true;
    const readers = [...this.#asked.values()];
    this.#asked.clear();
    for (const reader of readers) reader.onEnd(0);
    for (const open of [...this.#answering.keys()]) this.#stop(open);
  }

  #stop(asked: number): void {
    const stop = this.#answering.get(asked);
    this.#answering.delete(asked);
    stop?.();
  }

  #answer(asked: number, path: string): void {
    const { answerer } = this.#options;
    if (answerer === undefined || this.#answering.has(asked) || this.#answering.size >= MAX_OPEN) {
      this.#options.send({ type: "answered", id: asked, status: answerer === undefined ? 404 : 503 });
      return;
    }
    // An answer may be over before `answerer` returns.
    this.#answering.set(asked, () => {});
    const stop = answerer(path, {
      write: (text) => this.#write(asked, text),
      end: (status) => {
        if (this.#closed || !this.#answering.delete(asked)) return;
        this.#options.send({ type: "answered", id: asked, status });
      },
    });
    if (this.#answering.has(asked)) this.#answering.set(asked, stop);
  }

  #write(asked: number, text: string): boolean {
    if (this.#closed || !this.#answering.has(asked) || this.#options.isBehind()) return false;
    for (let at = 0; at < text.length; at += PIECE_CHARACTERS)
      this.#options.send({ type: "answer", id: asked, text: text.slice(at, at + PIECE_CHARACTERS) });
    return true;
  }
}
