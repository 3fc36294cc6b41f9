/** A `tulle local` of the example in a process of its own, and calls as one of its Pods. */
import { once } from "node:events";
import http from "node:http";
import { setInterval } from "node:timers/promises";
import { ANY_PORTS, type RunResult, TulleProcess } from "./tulle-process.ts";

interface Ready {
  readonly admin: string;
  readonly pods: readonly { readonly name: string; readonly ip: string }[];
  readonly services: readonly {
    readonly name: string;
    readonly meshIP: string;
    readonly ports: readonly { readonly port: number; readonly boundPort?: number }[];
  }[];
}

const CALL_EVERY_MS = 10;

export class RunningLocal {
  readonly #mesh: TulleProcess;
  readonly #ready: Ready;
  readonly #stopping = new AbortController();
  readonly #calling: Promise<void>[] = [];

  private constructor(mesh: TulleProcess, ready: Ready) {
    this.#mesh = mesh;
    this.#ready = ready;
  }

  static async start(...args: string[]): Promise<RunningLocal> {
    const mesh = new TulleProcess(["local", "--json", ...args, ...ANY_PORTS]);
    await mesh.says((out) => out.includes("\n"));
    return new RunningLocal(mesh, JSON.parse(mesh.said.out) as Ready);
  }

  /** HOST:PORT of its admin API. */
  get admin(): string {
    return this.#ready.admin.replace("http://", "");
  }

  /** GET of a Service of the example, from a Pod of it. @returns the status */
  async call(from: string, to: string, path = "/"): Promise<number> {
    const pod = this.#ready.pods.find(({ name }) => name === from);
    const service = this.#ready.services.find(({ name }) => name === to);
    const port = service?.ports[0];
    if (pod === undefined || service === undefined || port === undefined) throw new Error(`no ${from} or no ${to}`);
    const place = { host: service.meshIP, port: port.boundPort ?? port.port, localAddress: pod.ip, path, agent: false };
    const [response] = (await once(http.get(place), "response")) as [http.IncomingMessage];
    response.resume();
    await once(response, "end");
    return response.statusCode ?? 0;
  }

  /**
   * Until it is stopped. Some calls a second and no more, so that the process that is to see them has the processor too.
   */
  keepCalling(from: string, to: string, path = "/"): void {
    const { signal } = this.#stopping;
    const callOn = async () => {
      for await (const _ of setInterval(CALL_EVERY_MS, undefined, { signal })) await this.call(from, to, path);
    };
    this.#calling.push(
      callOn().catch((error) => {
        if (!signal.aborted) throw error;
      }),
    );
  }

  async stop(): Promise<void> {
    await this.endBy("SIGINT");
  }

  async endBy(signal: NodeJS.Signals): Promise<RunResult> {
    this.#stopping.abort();
    await Promise.all(this.#calling);
    this.#mesh.child.kill(signal);
    return this.#mesh.ended;
  }
}
