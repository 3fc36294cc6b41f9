import net from "node:net";
import type { Timer } from "../../model/clock.ts";
import { nearest } from "../../model/nearest.ts";
import { resetSocket } from "../../proxy/socket/reset-socket.ts";
import {
  COMMAND,
  loginMessage,
  METHOD,
  methodMessage,
  REPLY,
  type Read,
  readGreeting,
  readLogin,
  readRequest,
  replyMessage,
  type SocksRequest,
} from "./socks-messages.ts";
import type { SocksServerOptions } from "./socks-server.ts";

const HANDSHAKE_MS = 10_000;
const CONNECT_MS = 10_000;
/** How long a refused caller may take to read why. */
const LINGER_MS = 1_000;
const NOBODY = "127.0.0.1";
const MAX_NEAR_NAMES = 3;

/** One caller: its handshake, then its bytes both ways. */
export class SocksConnection {
  readonly #socket: net.Socket;
  readonly #options: SocksServerOptions;
  #unread: Buffer = Buffer.alloc(0);
  #step: (() => boolean) | undefined = () => this.#greet();
  #user = "";
  #callerAddress: string | undefined;
  #remote: net.Socket | undefined;
  #established = false;
  #timer: Timer;

  /** Resolves when neither the caller's connection nor the one made for him is left. */
  readonly closed: Promise<void>;
  #resolveClosed = () => {};

  /** @param socket with allowHalfOpen */
  constructor(socket: net.Socket, options: SocksServerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#timer = options.clock.after(HANDSHAKE_MS, () => socket.destroy());
    socket.on("data", (bytes) => this.#onData(bytes));
    socket.on("end", () => {
      // Before the call stands, who ends wants no answer; after that, it is half of a close.
      if (this.#established) this.#remote?.end();
      else socket.end();
    });
    socket.on("drain", () => this.#remote?.resume());
    socket.on("error", () => {
      if (this.#remote !== undefined) breakOff(this.#remote);
    });
    socket.on("close", () => this.#onClose(this.#remote));
  }

  /** A call stands; before that, nobody loses anything by an abort. */
  get established(): boolean {
    return this.#established;
  }

  /** With a reset, so that nobody takes what came so far for the whole. */
  abort(): void {
    if (this.#remote !== undefined) breakOff(this.#remote);
    breakOff(this.#socket);
  }

  /** One side is closed: the other goes on only to send what it was given to its end. */
  #onClose(other: net.Socket | undefined): void {
    if (other?.writableEnded === false) other.destroy();
    if (!this.#socket.closed || this.#remote?.closed === false) return;
    this.#timer.cancel();
    this.#resolveClosed();
  }

  #onData(bytes: Buffer): void {
    if (this.#established) {
      if (this.#remote?.write(bytes) === false) this.#socket.pause();
      return;
    }
    // Refused: the rest is read only to see the end.
    if (this.#socket.writableEnded) return;
    this.#unread = Buffer.concat([this.#unread, bytes]);
    while (this.#step?.() === true);
  }

  /** Takes a whole message from what came, or ends the connection where it is none. */
  #take<T>(read: (bytes: Buffer) => Read<T> | undefined | "malformed"): T | undefined {
    const result = read(this.#unread);
    if (result === undefined) return undefined;
    if (result === "malformed") {
      this.#end();
      return undefined;
    }
    this.#unread = this.#unread.subarray(result.bytes);
    return result.value;
  }

  /** A user name is asked for wherever it is offered: it says who calls. @returns whether the next step may begin */
  #greet(): boolean {
    const first = this.#unread[0];
    const offered = this.#take(readGreeting);
    if (offered === undefined) {
      if (this.#step === undefined)
        this.#options.log.warn(`SOCKS5: a caller speaks ${first === 4 ? "SOCKS4" : "no SOCKS"}; use socks5h://`);
      return false;
    }
    const method = [METHOD.userPassword, METHOD.none].find((each) => offered.includes(each));
    this.#socket.write(methodMessage(method ?? METHOD.noneAcceptable));
    if (method === undefined) return this.#end();
    this.#step = method === METHOD.userPassword ? () => this.#login() : () => this.#request();
    return true;
  }

  #login(): boolean {
    const user = this.#take(readLogin);
    if (user === undefined) return false;
    // curl sends an empty name where the URL has a password alone; that is nobody.
    if (user !== "") {
      this.#user = user;
      this.#callerAddress = this.#options.callerAddress(user);
      if (this.#callerAddress === undefined) {
        this.#options.log.warn(unknownUser(user, this.#options.callers?.() ?? []));
        return this.#end(loginMessage(false));
      }
    }
    this.#socket.write(loginMessage(true));
    this.#step = () => this.#request();
    return true;
  }

  #request(): boolean {
    const request = this.#take(readRequest);
    if (request === undefined) return false;
    if (request.command !== COMMAND.connect) return this.#refuse(REPLY.commandUnknown);
    if (request.host === undefined) return this.#refuse(REPLY.addressTypeUnknown);
    // What the caller says early waits: some of it in #unread, the rest in the socket.
    this.#step = undefined;
    this.#socket.pause();
    this.#timer.cancel();
    this.#timer = this.#options.clock.after(CONNECT_MS, () => this.#refuse(REPLY.timedOut));
    void this.#call(request);
    return false;
  }

  async #call({ host = "", port }: SocksRequest): Promise<void> {
    const { log } = this.#options;
    let addresses: readonly string[];
    try {
      addresses = net.isIP(host) !== 0 ? [host] : await this.#options.resolve(host, namespaceOf(this.#user));
    } catch (error) {
      log.warn(`SOCKS5: "${host}" could not be looked up`, { error: (error as Error).message });
      this.#refuse(REPLY.failure);
      return;
    }
    if (addresses.length === 0) {
      log.info(`SOCKS5: there is no name "${host}"`);
      this.#refuse(REPLY.hostUnreachable);
      return;
    }
    // From an IPv4 address only IPv4 addresses can be called, and the other way round.
    const own = this.#callerAddress;
    const reachable = own === undefined ? addresses : addresses.filter((each) => net.isIP(each) === net.isIP(own));
    if (reachable.length === 0) this.#refuse(REPLY.addressTypeUnknown);
    else this.#dial(reachable, port);
  }

  /** Tries one address after the other. */
  #dial([address = "", ...others]: readonly string[], port: number): void {
    // The caller went away, or was refused for time, while its name was looked up.
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    const localAddress = this.#callerAddress ?? (net.isIPv4(address) ? NOBODY : undefined);
    const remote = net.connect({
      host: address,
      port: this.#options.mapPort(address, port),
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    this.#remote = remote;
    remote.on("connect", () => this.#relay(remote));
    remote.on("close", () => {
      if (remote === this.#remote) this.#onClose(this.#established ? this.#socket : undefined);
    });
    remote.on("error", (error: NodeJS.ErrnoException) => {
      if (this.#established) breakOff(this.#socket);
      else if (remote !== this.#remote) return;
      else if (others.length > 0) this.#dial(others, port);
      else {
        this.#options.log.debug(`SOCKS5: ${address}:${port} cannot be called`, { error: error.message });
        this.#refuse(replyFor(error));
      }
    });
  }

  #relay(remote: net.Socket): void {
    const socket = this.#socket;
    this.#timer.cancel();
    this.#established = true;
    socket.write(replyMessage(REPLY.succeeded, remote.localAddress, remote.localPort));
    remote.on("data", (bytes) => {
      if (!socket.write(bytes)) remote.pause();
    });
    remote.on("drain", () => socket.resume());
    remote.on("end", () => socket.end());
    const flushed = this.#unread.length === 0 || remote.write(this.#unread);
    this.#unread = Buffer.alloc(0);
    if (flushed) socket.resume();
  }

  #refuse(code: number): false {
    this.#remote?.destroy();
    this.#remote = undefined;
    return this.#end(replyMessage(code));
  }

  /** Ends the caller's connection behind a last message, which a close with unread bytes would throw away. */
  #end(last?: Buffer): false {
    const socket = this.#socket;
    this.#step = undefined;
    this.#unread = Buffer.alloc(0);
    if (socket.destroyed || socket.writableEnded) return false;
    this.#timer.cancel();
    this.#timer = this.#options.clock.after(LINGER_MS, () => socket.destroy());
    if (last === undefined) socket.end();
    else socket.end(last);
    socket.resume();
    return false;
  }
}

/** Resets, but for a connection that is just about to close in good order, which cannot be reset any more. */
function breakOff(socket: net.Socket): void {
  if (socket.writableEnded && socket.writableLength === 0) socket.destroy();
  else resetSocket(socket);
}

/** RFC 1928 §6 names few causes; each of connect(2)'s has the nearest. */
function replyFor({ code }: NodeJS.ErrnoException): number {
  switch (code) {
    case "ECONNREFUSED":
      return REPLY.refused;
    case "EHOSTUNREACH":
    case "EHOSTDOWN":
      return REPLY.hostUnreachable;
    case "ENETUNREACH":
    case "EINVAL": // from a loopback address out of the machine
      return REPLY.networkUnreachable;
    case "ETIMEDOUT":
      return REPLY.timedOut;
    case "EACCES":
    case "EPERM":
      return REPLY.notAllowed;
    default:
      return REPLY.failure;
  }
}

/** A Pod's name may hold dots, a namespace's not. */
function namespaceOf(user: string): string | undefined {
  return user === "" ? undefined : user.split(/[./]/, 1)[0];
}

function unknownUser(user: string, callers: Iterable<string>): string {
  const wanted = user.replace("/", ".");
  const known = new Set(callers);
  // A Pod's name alone is the likeliest slip.
  const near = [...known].filter((name) => name.endsWith(`.${wanted}`)).slice(0, MAX_NEAR_NAMES);
  for (const name of near) known.delete(name);
  while (near.length < MAX_NEAR_NAMES) {
    const next = nearest(wanted, known);
    if (next === undefined) break;
    near.push(next);
    known.delete(next);
  }
  const meant = near.length === 0 ? "" : `; did you mean ${near.join(" or ")}?`;
  return `SOCKS5: user "${user}" is no Pod; a user name is NAMESPACE.POD${meant}`;
}
