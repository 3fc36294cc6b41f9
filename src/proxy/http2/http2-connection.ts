/**
 * An HTTP/2 connection, RFC 9113, of either side: streams, windows, settings, and the bounds on what a peer may make us
 * do. It reads from the bytes that it is given and writes to its socket; whose socket that is, and when it is closed, is
 * its owner's business.
 */
import type net from "node:net";
import { FloodGuard } from "./flood-guard.ts";
import { FrameOutput } from "./frame-output.ts";
import { type FrameHandler, FrameReader } from "./frame-reader.ts";
import {
  COMPRESSION_ERROR,
  DEFAULT_WINDOW_BYTES,
  ENABLE_PUSH,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  INITIAL_WINDOW_SIZE,
  INTERNAL_ERROR,
  MAX_CONCURRENT_STREAMS,
  MAX_FIELD_LIST_BYTES,
  MAX_HEADER_LIST_SIZE,
  MAX_WINDOW_BYTES,
  NO_ERROR,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  STREAM_CLOSED,
} from "./frames.ts";
import { type BlockOutcome, HpackDecoder } from "./hpack-decoder.ts";
import { NO_DYNAMIC_TABLE } from "./hpack-encoder.ts";
import type { Http2Owner, Http2Shared } from "./http2-owner.ts";
import { Http2Stream, type StreamCarrier } from "./http2-stream.ts";
import { PeerSettings } from "./peer-settings.ts";
import { WaitingStreams } from "./waiting-streams.ts";

/** Replies to PING, SETTINGS and bad streams that wait for a peer which does not read. */
const MAX_WAITING_REPLIES = 1_000;
/** Streams that we reset: what the peer had sent before it knew is not its fault. */
const REMEMBERED_RESETS = 256;
/** What the connection as a whole may have on its way; streams bound what is kept. */
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
const STREAM_WINDOW_BYTES = 128 * 1024;
const PING_PAYLOAD = "tulle   ";

export class Http2Connection implements StreamCarrier, FrameHandler {
  readonly #isServer: boolean;
  readonly #shared: Http2Shared;
  readonly #owner: Http2Owner;
  readonly #socket: net.Socket;
  readonly #reader: FrameReader;
  readonly #output: FrameOutput;
  readonly #decoder = new HpackDecoder(MAX_FIELD_LIST_BYTES);
  readonly #guard: FloodGuard;
  readonly #maxStreams: number;
  readonly #streams = new Map<number, Http2Stream>();
  readonly #waiting = new WaitingStreams();
  readonly #resets = new Set<number>();

  #ready = false;
  #dead = false;
  #lastPeerStream = 0;
  #nextStream = 1;

  // the DATA frame under way; without a stream it is dropped
  #dataStream: Http2Stream | undefined;
  #dataEnds = false;

  // windows and settings
  #sendWindow = DEFAULT_WINDOW_BYTES;
  #receiveWindow = CONNECTION_WINDOW_BYTES;
  #owed = 0;
  readonly #peer = new PeerSettings();
  #blockSent = false;
  #waitingReplies = 0;

  // the end
  #goawaySent = false;
  /** Streams of the peer above this one came after we said goodbye. */
  #lastTaken = MAX_WINDOW_BYTES;
  #goawayReceived = false;
  #awaitsDrainPing = false;

  /** @param maxStreams of the peer's, at once */
  constructor(role: "server" | "client", socket: net.Socket, owner: Http2Owner, shared: Http2Shared, maxStreams = 0) {
    this.#isServer = role === "server";
    this.#socket = socket;
    this.#owner = owner;
    this.#shared = shared;
    this.#maxStreams = maxStreams;
    this.#reader = new FrameReader(this);
    this.#output = new FrameOutput(socket, shared.chunks);
    this.#guard = new FloodGuard(shared.clock);
  }

  /** Sends our side of the preface (§3.4). Of a server, the client's magic has been read. */
  start(): void {
    const settings: number[] = [INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES, MAX_HEADER_LIST_SIZE, MAX_FIELD_LIST_BYTES];
    if (this.#isServer) settings.push(MAX_CONCURRENT_STREAMS, this.#maxStreams);
    else {
      this.#output.preface();
      settings.push(ENABLE_PUSH, 0);
    }
    this.#output.settings(settings);
    this.#output.windowUpdate(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
  }

  get streams(): number {
    return this.#streams.size;
  }

  /** Of a client: whether another stream may begin. */
  get canOpen(): boolean {
    const allowed = this.#streams.size < this.#peer.maxStreams && this.#nextStream < MAX_WINDOW_BYTES;
    return !this.#dead && !this.#goawayReceived && allowed;
  }

  /** A field block is under way. */
  get headUnderWay(): boolean {
    return this.#reader.blockUnderWay;
  }

  /** It was asked to drain, and nothing is under way or can begin. */
  get drained(): boolean {
    return this.#goawaySent && !this.#awaitsDrainPing && this.#streams.size === 0;
  }

  /** Of a client, where `canOpen`. @param ofHead the method is HEAD */
  open(ofHead: boolean): Http2Stream {
    const stream = new Http2Stream(this.#nextStream, this, this.#peer.windowBytes, STREAM_WINDOW_BYTES);
    stream.ofHead = ofHead;
    this.#nextStream += 2;
    this.#streams.set(stream.id, stream);
    return stream;
  }

  /** Bytes of the peer. @param bytes valid during the call */
  onBytes(bytes: Buffer, from: number, end: number): void {
    this.#reader.read(bytes, from, end);
    this.#output.flush();
  }

  /** What was written has left. */
  onSocketDrain(): void {
    this.#waitingReplies = 0;
    this.#sendWaiting();
    for (const stream of this.#streams.values()) stream.drain();
  }

  /** The connection is gone: so are its streams. */
  onSocketGone(): void {
    this.#stop();
    this.#abandonAll(INTERNAL_ERROR, true);
  }

  /**
   * Asks the peer to begin nothing more here. Streams under way go on; so do those that the peer began before it heard
   * of this (§6.8), for which a ping tells when all of them have come.
   */
  drain(): void {
    if (this.#goawaySent || this.#dead) return;
    this.#goawaySent = true;
    this.#output.goaway(this.#isServer ? MAX_WINDOW_BYTES : 0, NO_ERROR, "");
    if (!this.#isServer) return;
    this.#awaitsDrainPing = true;
    this.ping();
  }

  /** Asks the peer for a sign of life; its bytes are that sign. */
  ping(): void {
    if (this.#dead) return;
    this.#output.ping(PING_PAYLOAD);
  }

  /** Ends it with a reason that the peer can read. */
  fail(code: number, reason: string): void {
    if (this.#dead) return;
    this.#stop();
    this.#output.goaway(this.#lastPeerStream, code, reason);
    this.#output.flush();
    this.#abandonAll(code, false);
    this.#owner.onFatal(reason);
  }

  // ── what streams ask for ──

  get sendRoom(): number {
    return this.#sendWindow;
  }

  get socketReady(): boolean {
    return !this.#socket.writableNeedDrain;
  }

  writeHeaders(stream: Http2Stream, fields: string, end: boolean): void {
    const block = this.#blockSent ? fields : NO_DYNAMIC_TABLE + fields;
    this.#blockSent = true;
    this.#output.headers(stream.id, block, end);
  }

  writeData(stream: Http2Stream, bytes: Uint8Array, from: number, to: number, end: boolean): void {
    this.#sendWindow -= to - from;
    this.#output.data(stream.id, bytes, from, to, end);
  }

  writeReset(stream: Http2Stream, code: number): void {
    this.#writeRst(stream.id, code);
  }

  writeCredit(stream: Http2Stream, bytes: number): void {
    this.#output.windowUpdate(stream.id, bytes);
  }

  waitForRoom(stream: Http2Stream): void {
    this.#waiting.add(stream);
  }

  streamOver(stream: Http2Stream): void {
    this.#waiting.delete(stream);
    if (this.#streams.delete(stream.id)) this.#owner.onStreamOver();
  }

  // ── frames of the peer ──

  onFault(code: number, reason: string): void {
    this.fail(code, reason);
  }

  onData(id: number, length: number, ends: boolean): void {
    const stream = this.#streams.get(id);
    this.#dataStream = undefined;
    this.#dataEnds = ends;
    this.#receiveWindow -= length;
    this.#owed += length;
    if (stream === undefined && this.#isIdle(id)) this.fail(PROTOCOL_ERROR, "DATA on an idle stream");
    else if (this.#receiveWindow < 0) this.fail(FLOW_CONTROL_ERROR, "more DATA than the connection's window");
    else if (length > 0 || ends || this.#spend(1)) {
      this.#creditConnection();
      if (stream === undefined) this.#onStrayData(id);
      else if (this.#judge(stream, stream.takeData(length))) this.#dataStream = stream;
    }
  }

  #onStrayData(id: number): void {
    if (!this.#resets.has(id)) this.#refuseStream(id, STREAM_CLOSED);
  }

  onDataBytes(bytes: Buffer, from: number, to: number): void {
    const stream = this.#dataStream;
    if (stream === undefined || stream.over) return;
    this.#judge(stream, stream.takeContent(bytes, from, to));
  }

  onDataEnd(): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (stream === undefined || stream.over) return;
    if (this.#dataEnds) this.#judge(stream, stream.takeEnd(undefined));
    else stream.creditReceived();
  }

  onFieldBlock(id: number, ends: boolean, dependsOnItself: boolean, bytes: Buffer, from: number, to: number): void {
    const fields: string[] = [];
    // Decoded whatever becomes of it: the tables of both sides must stay the same (§4.3).
    const outcome = this.#decoder.decode(bytes, from, to, fields);
    const stream = this.#streams.get(id);
    if (outcome === "bad") this.fail(COMPRESSION_ERROR, "a field block cannot be decoded");
    else if (dependsOnItself) this.#onBadPriority(id, stream, PROTOCOL_ERROR);
    else if (stream !== undefined)
      this.#judge(stream, stream.takeFields(this.#shared.head, fields, ends, outcome === "tooLarge"));
    else if (this.#resets.has(id) || id > this.#lastTaken) this.#noteStream(id);
    else if (this.#isServer && id > this.#lastPeerStream) this.#onNewRequest(id, fields, ends, outcome);
    else if (this.#isIdle(id)) this.fail(PROTOCOL_ERROR, "HEADERS on an idle stream");
    else this.fail(STREAM_CLOSED, "HEADERS on a closed stream");
  }

  #onNewRequest(id: number, fields: string[], ends: boolean, outcome: BlockOutcome): void {
    this.#noteStream(id);
    const { head } = this.#shared;
    const wellFormed = outcome === "tooLarge" || (head.readRequest(fields) && !(ends && head.contentLength > 0));
    if (this.#streams.size >= this.#maxStreams) this.#refuseStream(id, REFUSED_STREAM);
    else if (!wellFormed) this.#refuseStream(id, PROTOCOL_ERROR);
    else {
      const stream = new Http2Stream(id, this, this.#peer.windowBytes, STREAM_WINDOW_BYTES);
      stream.headSeen = true;
      this.#streams.set(id, stream);
      if (ends) stream.endRemote();
      if (outcome === "tooLarge") this.#owner.onHeadTooLarge(stream);
      else {
        stream.expected = head.contentLength;
        this.#owner.onRequest(stream, head, fields);
      }
    }
  }

  /** Priorities themselves are deprecated and ignored (§5.3.2). */
  onPriority(id: number, dependency: number | undefined): void {
    const stream = this.#streams.get(id);
    if (dependency === undefined) this.#onBadPriority(id, stream, FRAME_SIZE_ERROR);
    else if (dependency === id) this.#onBadPriority(id, stream, PROTOCOL_ERROR);
    this.#spend(0.1);
  }

  #onBadPriority(id: number, stream: Http2Stream | undefined, code: number): void {
    if (stream !== undefined) this.#breakStream(stream, code);
    else this.#refuseStream(id, code);
    this.#noteStream(id);
  }

  onRst(id: number, code: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      if (this.#isIdle(id)) this.fail(PROTOCOL_ERROR, "RST_STREAM on an idle stream");
    } else if (!this.#isServer || this.#spend(1)) stream.abandon(code, true);
  }

  onSettings(bytes: Buffer, from: number, to: number): void {
    if (!this.#spend(1)) return;
    for (let at = from; at < to && !this.#dead; at += 6)
      this.#onSetting(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
    if (this.#dead || !this.#mayReply()) return;
    this.#output.settingsAck();
    if (!this.#ready) {
      this.#ready = true;
      this.#owner.onReady();
    }
    this.#sendWaiting();
  }

  #onSetting(setting: number, value: number): void {
    const before = this.#peer.windowBytes;
    const fault = this.#peer.take(setting, value, this.#isServer);
    if (fault !== "") this.fail(PROTOCOL_ERROR, fault);
    else if (setting === INITIAL_WINDOW_SIZE) this.#onWindowSize(value, value - before);
  }

  #onWindowSize(bytes: number, change: number): void {
    let good = bytes <= MAX_WINDOW_BYTES;
    for (const stream of this.#streams.values()) good = stream.widen(change) && good;
    if (!good) this.fail(FLOW_CONTROL_ERROR, "bad INITIAL_WINDOW_SIZE");
  }

  onPing(ack: boolean, bytes: Buffer, from: number): void {
    if (!ack) {
      if (!this.#mayReply()) return;
      this.#output.pingAck(bytes, from);
    } else if (this.#awaitsDrainPing) {
      // All that the peer began before it read our GOAWAY has come.
      this.#awaitsDrainPing = false;
      this.#lastTaken = this.#lastPeerStream;
      this.#output.goaway(this.#lastTaken, NO_ERROR, "");
      this.#owner.onStreamOver();
    }
  }

  onGoaway(lastStream: number): void {
    this.#goawayReceived = true;
    // §6.8: what is above was not acted on, and may be tried elsewhere.
    if (!this.#isServer)
      for (const stream of [...this.#streams.values()])
        if (stream.id > lastStream) stream.abandon(REFUSED_STREAM, true);
    this.#owner.onGoaway();
  }

  onWindowUpdate(id: number, increment: number): void {
    if (id === 0) this.#widen(increment);
    else {
      const stream = this.#streams.get(id);
      if (stream === undefined) {
        if (this.#isIdle(id)) this.fail(PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream");
      } else if (increment === 0) this.#breakStream(stream, PROTOCOL_ERROR);
      else if (!stream.widen(increment)) this.#breakStream(stream, FLOW_CONTROL_ERROR);
      else this.#sendWaiting();
    }
  }

  #widen(increment: number): void {
    this.#sendWindow += increment;
    if (increment === 0) this.fail(PROTOCOL_ERROR, "WINDOW_UPDATE of nothing");
    else if (this.#sendWindow > MAX_WINDOW_BYTES) this.fail(FLOW_CONTROL_ERROR, "a window grew too large");
    else this.#sendWaiting();
  }

  // ── steps ──

  /** No frame of this stream may have come or gone yet (§5.1). */
  #isIdle(id: number): boolean {
    const ofClient = (id & 1) === 1;
    if (!ofClient) return true;
    return this.#isServer ? id > this.#lastPeerStream : id >= this.#nextStream;
  }

  #noteStream(id: number): void {
    if (this.#isServer && id > this.#lastPeerStream) this.#lastPeerStream = id;
  }

  /** Resets the stream for what came on it, if need be. @returns whether that was as it should be */
  #judge(stream: Http2Stream, code: number): boolean {
    if (code === NO_ERROR) return true;
    this.#breakStream(stream, code);
    return false;
  }

  /** A stream error (§5.4.2) on one that lives. */
  #breakStream(stream: Http2Stream, code: number): void {
    if (stream.over || !this.#mayReply()) return;
    this.#writeRst(stream.id, code);
    stream.abandon(code, false);
  }

  /** A stream error on one that never lived, or no longer does. */
  #refuseStream(id: number, code: number): void {
    if (this.#spend(1) && this.#mayReply()) this.#writeRst(id, code);
  }

  #writeRst(id: number, code: number): void {
    this.#resets.add(id);
    if (this.#resets.size > REMEMBERED_RESETS) this.#resets.delete(this.#resets.values().next().value as number);
    this.#output.rstStream(id, code);
  }

  #creditConnection(): void {
    if (this.#owed < CONNECTION_WINDOW_BYTES >>> 1) return;
    this.#output.windowUpdate(0, this.#owed);
    this.#receiveWindow += this.#owed;
    this.#owed = 0;
  }

  #sendWaiting(): void {
    this.#waiting.serve(this);
    this.#output.scheduleFlush();
  }

  /** Whether the peer reads what it makes us say. */
  #mayReply(): boolean {
    this.#output.scheduleFlush();
    if (this.socketReady || ++this.#waitingReplies <= MAX_WAITING_REPLIES) return true;
    this.fail(ENHANCE_YOUR_CALM, "replies are not read");
    return false;
  }

  #spend(tokens: number): boolean {
    if (this.#guard.spend(tokens)) return true;
    this.fail(ENHANCE_YOUR_CALM, "too much for nothing");
    return false;
  }

  #stop(): void {
    this.#dead = true;
    this.#reader.stop();
  }

  #abandonAll(code: number, byPeer: boolean): void {
    for (const stream of [...this.#streams.values()]) stream.abandon(code, byPeer);
  }
}
