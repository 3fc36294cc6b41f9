import { once } from "node:events";
import net from "node:net";
import { SHARED_PORT } from "../../shared-ports/port-sharing.ts";
import { quietTurn } from "../../shared-ports/quiet-turn.ts";
import { acceptShared, type ReadBuffers, type SharedReadSocket } from "../socket/shared-read.ts";

export interface BoundPort {
  readonly port: number;
  /** Why the port that was asked for could not be had; undefined where it was. */
  readonly instead: string | undefined;
}

/** Ports to try for one that was asked for. */
export function candidatePorts(port: number, substitutes: boolean): readonly number[] {
  if (!substitutes) return [port];
  // 80 becomes 8080 and 443 becomes 8443, as people expect; after that, any.
  return port < 1024 ? [port, 8000 + port, 0] : [port, 0];
}

/** Tries each port in turn. @throws the first error when none can be had */
export async function bindFirst(ports: readonly number[], bind: (port: number) => Promise<number>): Promise<BoundPort> {
  let first: Error | undefined;
  for (const port of ports) {
    try {
      return { port: await bind(port), instead: first?.message };
    } catch (error) {
      first ??= error as Error;
    }
  }
  throw first ?? new Error("no port to bind");
}

/** A listening TCP socket whose connections go to whoever the entrypoint means at that moment. */
export class TcpListener {
  readonly #server: net.Server;
  readonly #onError: (error: Error) => void;
  readonly #sharesPort: boolean;
  #accepted = 0;
  #closing: Promise<void> | undefined;

  /**
   * @param onConnection gets sockets with allowHalfOpen and noDelay that nothing has been read of
   * @param onError gets what goes wrong once it listens
   * @param buffers what the next connection reads into
   * @param sharesPort another process may listen on the same port, with the same flag (SO_REUSEPORT)
   */
  constructor(
    onConnection: (caller: SharedReadSocket) => void,
    onError: (error: Error) => void,
    buffers: () => ReadBuffers,
    sharesPort = false,
  ) {
    this.#server = net.createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, pauseOnConnect: true },
      (accepted) => {
        this.#accepted++;
        onConnection(acceptShared(accepted, buffers()));
      },
    );
    this.#onError = onError;
    this.#sharesPort = sharesPort;
  }

  async listen(address: string, port: number): Promise<number> {
    const shared = this.#sharesPort ? SHARED_PORT : {};
    this.#server.listen({ host: address, port, backlog: 4096, ...shared });
    await once(this.#server, "listening");
    // From now on, errors are of single accepts (EMFILE): the next ones may succeed.
    this.#server.on("error", this.#onError);
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** Accepts what has come, which a close would reset, and then no more. Connections live on. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      const closed = () => {
        this.#server.close();
        resolve();
      };
      quietTurn(() => this.#accepted, closed);
    });
    return this.#closing;
  }
}
