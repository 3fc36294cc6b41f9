import net from "node:net";
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

  /**
   * @param onConnection gets sockets with allowHalfOpen and noDelay that nothing has been read of
   * @param onError gets what goes wrong once it listens
   * @param buffers what the next connection reads into
   */
  constructor(
    onConnection: (caller: SharedReadSocket) => void,
    onError: (error: Error) => void,
    buffers: () => ReadBuffers,
  ) {
    this.#server = net.createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, pauseOnConnect: true },
      (accepted) => onConnection(acceptShared(accepted, buffers())),
    );
    this.#onError = onError;
  }

  async listen(address: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: address, port, backlog: 4096 }, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    // From now on, errors are of single accepts (EMFILE): the next ones may succeed.
    this.#server.on("error", this.#onError);
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** Accepts no more; connections live on. */
  close(): void {
    this.#server.close();
  }
}
