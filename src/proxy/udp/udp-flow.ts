import type dgram from "node:dgram";
import type { Origin } from "../../config/mesh-config.ts";
import type { Clock } from "../../model/clock.ts";
import type { Failure } from "../../model/failures.ts";
import type { SharedUdpPort } from "../../shared-ports/shared-udp-port.ts";
import type { FlowRecord } from "../flow/flow-record.ts";
import type { Caller, EndpointState, ServicePortState } from "../router/types.ts";
import { createUdpSocket, hasRoom } from "./udp-socket.ts";

/** Datagrams that wait for the socket to the endpoint; UDP may lose what is beyond. */
const MAX_WAITING = 16;

/** What the engine does for a flow. */
export interface UdpFlowOwner {
  readonly clock: Clock;
  answer(flow: UdpFlow, bytes: Buffer): void;
  /** A datagram of the caller was lost here: the kernel would not take it. */
  sendFailed(): void;
  ended(flow: UdpFlow): void;
}

export interface UdpFlowSetup {
  /** Tells it apart from other flows of the engine. */
  readonly key: string;
  readonly entry: ServicePortState;
  readonly caller: Caller;
  readonly path: readonly ServicePortState[];
  readonly origin: Origin | undefined;
  readonly endpoint: EndpointState;
  readonly wouldDeny: boolean;
  /** Number of the configuration that let it through. */
  readonly generation: number;
  /** The socket that the caller called, from which answers go to this address and port. */
  readonly entrypoint: SharedUdpPort;
  readonly callerAddress: string;
  readonly callerPort: number;
}

/** Datagrams between one caller and one endpoint, over a socket of their own that takes answers from that one alone. */
export class UdpFlow implements FlowRecord {
  readonly transport = "udp";
  readonly key: string;
  readonly entry: ServicePortState;
  caller: Caller;
  readonly path: readonly ServicePortState[];
  readonly origin: Origin | undefined;
  readonly endpoint: EndpointState;
  readonly wouldDeny: boolean;
  generation: number;
  readonly entrypoint: SharedUdpPort;
  /** As the socket gives it; a Caller's is IPv4 where this may be `::ffff:`. */
  readonly callerAddress: string;
  readonly callerPort: number;
  failure: Failure | "" = "";
  bytesUp = 0;
  bytesDown = 0;
  durationMs = 0;
  readonly #owner: UdpFlowOwner;
  readonly #socket: dgram.Socket;
  readonly #startedAt: number;
  /** Until the socket is connected. */
  #waiting: Buffer[] | undefined = [];
  /** A datagram has passed since the last tick. */
  #moved = true;
  /** When none had passed for a tick, at most a tick late. */
  #idleSince = 0;
  #over = false;
  readonly #onSent = (error: Error | null) => {
    if (error !== null) this.#sendFailed(error);
  };

  constructor(setup: UdpFlowSetup, owner: UdpFlowOwner) {
    this.key = setup.key;
    this.entry = setup.entry;
    this.caller = setup.caller;
    this.path = setup.path;
    this.origin = setup.origin;
    this.endpoint = setup.endpoint;
    this.wouldDeny = setup.wouldDeny;
    this.generation = setup.generation;
    this.entrypoint = setup.entrypoint;
    this.callerAddress = setup.callerAddress;
    this.callerPort = setup.callerPort;
    this.#owner = owner;
    this.#startedAt = owner.clock.now();
    this.endpoint.outstanding++;
    const socket = createUdpSocket(this.endpoint.address);
    this.#socket = socket;
    socket.on("error", (error) => this.#socketFailed(error));
    socket.on("message", (bytes) => this.#onAnswer(bytes));
    socket.on("connect", () => this.#flush());
  }

  /**
   * Opens its socket. What goes wrong ends the flow, maybe before this returns.
   * @param localAddress of the datagrams to the endpoint; undefined: the machine's choice
   */
  open(localAddress: string | undefined): void {
    const { address, dialPort } = this.endpoint;
    if (localAddress !== undefined) this.#socket.bind({ address: localAddress, port: 0, exclusive: true });
    if (!this.#over) this.#socket.connect(dialPort, address);
  }

  send(bytes: Buffer): void {
    if (this.#over) return;
    this.#moved = true;
    this.bytesUp += bytes.length;
    if (this.#waiting === undefined) this.#write(bytes);
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(bytes);
    else this.#owner.sendFailed();
  }

  /** Called at each of the engine's ticks. */
  checkIdle(now: number, idleTimeoutMs: number): void {
    if (this.#moved) {
      this.#moved = false;
      this.#idleSince = now;
    } else if (now - this.#idleSince >= idleTimeoutMs) this.end("");
  }

  end(failure: Failure | ""): void {
    if (this.#over) return;
    this.#over = true;
    this.failure = failure;
    this.#waiting = undefined;
    this.endpoint.outstanding--;
    this.#socket.close();
    this.durationMs = this.#owner.clock.now() - this.#startedAt;
    this.#owner.ended(this);
  }

  #onAnswer(bytes: Buffer): void {
    if (this.#over) return;
    this.#moved = true;
    this.bytesDown += bytes.length;
    this.#owner.answer(this, bytes);
  }

  #flush(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const bytes of waiting) if (!this.#over) this.#write(bytes);
  }

  #write(bytes: Buffer): void {
    if (hasRoom(this.#socket)) this.#socket.send(bytes, this.#onSent);
    else this.#owner.sendFailed();
  }

  /** That the endpoint cannot be reached is told at any later call; anything else is about that datagram alone. */
  #sendFailed(error: NodeJS.ErrnoException): void {
    if (this.#over) return;
    const failure = unreachable(error.code);
    if (failure === undefined) this.#owner.sendFailed();
    else this.end(failure);
  }

  #socketFailed(error: NodeJS.ErrnoException): void {
    if (this.#waiting === undefined) this.#sendFailed(error);
    else this.end(unreachable(error.code) ?? setupFailure(error.code));
  }
}

/** What ICMP says of the endpoint (RFC 1122 §4.1.3.3), or undefined where an error means something else. */
function unreachable(code: string | undefined): Failure | undefined {
  if (code === "ECONNREFUSED") return "ConnectRefused";
  return code === "EHOSTUNREACH" || code === "ENETUNREACH" ? "ConnectTimeout" : undefined;
}

/** Why there is no socket: our own lack of descriptors, ports or memory, or an address that cannot be. */
function setupFailure(code: string | undefined): Failure {
  const lack = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRINUSE", "EADDRNOTAVAIL", "EAGAIN"];
  return lack.includes(code ?? "") ? "TooManyConnections" : "ConnectRefused";
}
