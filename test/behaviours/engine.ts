/**
 * What carries calls in the behaviour suite. The suite knows Services, Pods and ports; how a call comes to the proxy is
 * the engine's.
 */
import http2 from "node:http2";
import net from "node:net";
import { type Answer, callHttp, callTcp, callUdp, type HttpCall, type Place } from "../calls.ts";

export interface Engine {
  readonly name: EngineName;
  /** Where calls to this port of a Service of namespace `t` go in. */
  at(service: string, port: number): Place;
  /** Address of a Pod, by its name or its Deployment's. */
  pod(name: string): string;
  /** The Service's own ClusterIP. */
  clusterIP(service: string): string;
  close(): Promise<void>;
}

export const ENGINES = ["Tulle", "Traefik"] as const;
export type EngineName = (typeof ENGINES)[number];

/** The head of a gRPC call. */
export const GRPC = { ":method": "POST", ":path": "/a.B/C", "content-type": "application/grpc", te: "trailers" };

export interface Http2Answer {
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly body: string;
}

export interface Call extends Omit<HttpCall, "localAddress"> {
  /** A Pod; absent: nobody's address. */
  readonly from?: string;
  readonly port?: number;
}

/** Calls through an engine, by the name of a Service. */
export class Calls {
  readonly engine: Engine;

  constructor(engine: Engine) {
    this.engine = engine;
  }

  http(service: string, { from, port = 80, headers, ...call }: Call = {}): Promise<Answer> {
    return callHttp(this.engine.at(service, port), {
      ...call,
      headers: { Host: `${service}.t.traefik.mesh`, ...headers },
      ...(from === undefined ? {} : { localAddress: this.engine.pod(from) }),
    });
  }

  async status(service: string, call: Call = {}): Promise<number> {
    return (await this.http(service, call)).status;
  }

  /** `200 web`: the status and who answered, where somebody did. */
  async outcome(service: string, call: Call = {}): Promise<string> {
    const { status, name } = await this.http(service, call);
    return name === "" ? String(status) : `${status} ${name}`;
  }

  /** How often each outcome came, one call after another: `2 × 200 a, 8 × 200 b`. */
  async shares(count: number, outcome: () => Promise<string>): Promise<string> {
    const counts = new Map<string, number>();
    for (let call = 0; call < count; call++) {
      const each = await outcome();
      counts.set(each, (counts.get(each) ?? 0) + 1);
    }
    return [...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([each, times]) => `${times} × ${each}`)
      .join(", ");
  }

  /** Who answered, by its Deployment; "nobody" where the connection ends without an answer. */
  async tcp(service: string, port: number, from?: string): Promise<string> {
    const answer = await callTcp(this.engine.at(service, port), from === undefined ? undefined : this.engine.pod(from));
    return answer === "reset" || answer === "closed" ? "nobody" : deploymentOf(answer);
  }

  /** Who answered; "nobody" where nothing has come until `silence` is over. */
  async udp(service: string, port: number, from: string, silence: Promise<unknown>): Promise<string> {
    const answer = await callUdp(this.engine.at(service, port), this.engine.pod(from), silence);
    return answer === "silence" ? "nobody" : deploymentOf(answer);
  }

  /** A request over HTTP/2 with prior knowledge. */
  http2(service: string, from: string, headers: http2.OutgoingHttpHeaders): Promise<Http2Answer> {
    const place = { ...this.engine.at(service, 80), localAddress: this.engine.pod(from) };
    return new Promise((resolve, reject) => {
      const session = http2.connect(`http://${place.host}`, { createConnection: () => net.connect(place) });
      session.on("error", reject);
      const stream = session.request({ ":authority": `${service}.t.traefik.mesh`, ...headers });
      let answered: http2.IncomingHttpHeaders = {};
      let trailers: http2.IncomingHttpHeaders = {};
      let body = "";
      stream.on("response", (each) => {
        answered = each;
      });
      stream.on("trailers", (each) => {
        trailers = each;
      });
      stream.setEncoding("utf8");
      stream.on("data", (part: string) => {
        body += part;
      });
      stream.on("error", reject);
      stream.on("close", () => {
        session.close();
        resolve({ headers: answered, trailers, body });
      });
      stream.end();
    });
  }
}

/** `web-5c9-x2` → `web`; names of Deployments in the suite have no dash. */
function deploymentOf(pod: string): string {
  return pod.split("-")[0] as string;
}
