/**
 * The calls of examples/whoami/README.md, made through a running loopback cluster from the addresses of the Pods named:
 * real look-ups, real sockets. Each says what came back and which way it went.
 */
import dgram from "node:dgram";
import http from "node:http";
import net from "node:net";
import type { AccessMode } from "../config/mesh-config.ts";

/** The running mesh, as a caller sees it. */
export interface CallTarget {
  readonly accessControl: AccessMode;
  /** Address of a Pod, or undefined where there is none of that name. */
  podAddress(namespace: string, name: string): string | undefined;
  /** Look-up over the cluster's DNS. */
  resolve(host: string): Promise<string>;
  /** The port that was bound for `address:port`, where that is another. */
  boundPort(address: string, port: number): number;
  /** What the proxy did with the last call from this address, as `service → endpoint`; empty past the mesh. */
  way(callerAddress: string): string;
}

interface ExampleCall {
  readonly from: string;
  readonly how: "http" | "tcp" | "udp";
  readonly host: string;
  readonly port: number;
  readonly path?: string;
  /** Made so many times; the answers are counted by who answered. */
  readonly times?: number;
  /** Access control refuses it. */
  readonly denied?: boolean;
}

export interface CallResult {
  readonly from: string;
  readonly call: string;
  /** Status of HTTP; "answered", "reset", "silence" of others. */
  readonly outcome: string;
  /** Host names that answered, with their number of answers. */
  readonly answeredBy: ReadonlyMap<string, number>;
  readonly way: string;
  /** It came out as the walk says. */
  readonly ok: boolean;
  /** Why not, or what else is to say. */
  readonly note: string;
}

const CLIENT = "whoami-client";
const STRANGER = "whoami-stranger";
const NAMESPACE = "whoami";

const CALLS: readonly ExampleCall[] = [
  { from: CLIENT, how: "http", host: "whoami.whoami.svc.cluster.local", port: 80, times: 4 },
  { from: CLIENT, how: "http", host: "whoami.whoami.traefik.mesh", port: 80, times: 4 },
  { from: CLIENT, how: "http", host: "whoami.whoami.maesh", port: 80, times: 2 },
  { from: CLIENT, how: "tcp", host: "whoami-tcp.whoami.svc.cluster.local", port: 8080, times: 2 },
  { from: CLIENT, how: "tcp", host: "whoami-tcp.whoami.traefik.mesh", port: 8080, times: 2 },
  { from: CLIENT, how: "udp", host: "whoami-udp.whoami.traefik.mesh", port: 8080, times: 2 },
  { from: CLIENT, how: "http", host: "whoami-split.whoami.traefik.mesh", port: 80, times: 20 },
  { from: CLIENT, how: "http", host: "whoami-api.whoami.traefik.mesh", port: 80, path: "/api" },
  { from: CLIENT, how: "http", host: "whoami-api.whoami.traefik.mesh", port: 80, path: "/", denied: true },
  { from: STRANGER, how: "http", host: "whoami.whoami.traefik.mesh", port: 80, denied: true },
  { from: STRANGER, how: "http", host: "whoami-split.whoami.traefik.mesh", port: 80, denied: true },
  { from: STRANGER, how: "tcp", host: "whoami-tcp.whoami.traefik.mesh", port: 8080, denied: true },
  { from: STRANGER, how: "udp", host: "whoami-udp.whoami.traefik.mesh", port: 8080, denied: true },
];

/** How long silence is listened to. */
const SILENCE_MS = 150;
const CALL_TIMEOUT_MS = 2000;

/** Makes the calls in order. Those whose caller or service the manifests lack are left out. */
export async function makeExampleCalls(target: CallTarget, onResult: (result: CallResult) => void): Promise<boolean> {
  let allOk = true;
  for (const call of CALLS) {
    const callerAddress = target.podAddress(NAMESPACE, call.from);
    if (callerAddress === undefined) continue;
    const result = await makeCall(target, call, callerAddress);
    if (result === undefined) continue;
    allOk &&= result.ok;
    onResult(result);
  }
  return allOk;
}

async function makeCall(target: CallTarget, call: ExampleCall, callerAddress: string): Promise<CallResult | undefined> {
  let address: string;
  try {
    address = await target.resolve(call.host);
  } catch {
    return undefined;
  }
  const port = target.boundPort(address, call.port);
  const expectsDenial = call.denied === true && target.accessControl === "on";
  const answeredBy = new Map<string, number>();
  let outcome = "";
  for (let time = 0; time < (call.times ?? 1); time++) {
    const answer = await ask(call, callerAddress, address, port, expectsDenial);
    outcome = answer.outcome;
    if (answer.by !== "") answeredBy.set(answer.by, (answeredBy.get(answer.by) ?? 0) + 1);
  }
  const wanted = expectsDenial ? DENIED[call.how] : call.how === "http" ? "200" : "answered";
  const ok = outcome === wanted;
  const audited = call.denied === true && target.accessControl === "audit" ? "with access control on: denied" : "";
  const way = target.way(callerAddress);
  return {
    from: call.from,
    call: describe(call, port),
    outcome,
    answeredBy,
    way: `${callerAddress} → ${address}:${port}${way === "" ? "" : ` → ${way}`}`,
    ok,
    note: ok ? audited : `expected ${wanted}`,
  };
}

const DENIED = { http: "403", tcp: "reset", udp: "silence" } as const;

function describe(call: ExampleCall, port: number): string {
  const shownPort = call.how === "http" && port === 80 ? "" : `:${port}`;
  return call.how === "http"
    ? `GET http://${call.host}${shownPort}${call.path ?? "/"}`
    : `${call.how.toUpperCase()} ${call.host}${shownPort}`;
}

interface Answer {
  readonly outcome: string;
  readonly by: string;
}

function ask(call: ExampleCall, from: string, address: string, port: number, denied: boolean): Promise<Answer> {
  if (call.how === "http") return askHttp(call, from, address, port);
  return call.how === "tcp" ? askTcp(from, address, port) : askUdp(from, address, port, denied);
}

function askHttp(call: ExampleCall, from: string, address: string, port: number): Promise<Answer> {
  return new Promise((resolve) => {
    const headers = { Host: port === 80 ? call.host : `${call.host}:${port}` };
    const options = { host: address, port, path: call.path ?? "/", localAddress: from, headers, agent: false };
    const request = http.get(options, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        body += part;
      });
      response.on("end", () => resolve({ outcome: String(response.statusCode), by: hostname(body) }));
      response.on("error", () => resolve({ outcome: "broken answer", by: "" }));
    });
    request.setTimeout(CALL_TIMEOUT_MS, () => request.destroy(new Error("no answer")));
    request.on("error", (error) => resolve({ outcome: error.message, by: "" }));
  });
}

function askTcp(from: string, address: string, port: number): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: address, port, localAddress: from });
    let text = "";
    socket.setEncoding("utf8");
    socket.setTimeout(CALL_TIMEOUT_MS, () => socket.destroy(new Error("no answer")));
    socket.on("connect", () => socket.write("WHO"));
    socket.on("data", (part: string) => {
      text += part;
      if (!text.includes("IP:")) return;
      socket.destroy();
      resolve({ outcome: "answered", by: hostname(text) });
    });
    socket.on("error", (error: NodeJS.ErrnoException) =>
      resolve({ outcome: error.code === "ECONNRESET" || error.code === "EPIPE" ? "reset" : error.message, by: "" }),
    );
    socket.on("close", () => resolve({ outcome: "closed", by: "" }));
  });
}

function askUdp(from: string, address: string, port: number, denied: boolean): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket("udp4");
    const end = (answer: Answer) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end({ outcome: "silence", by: "" }), denied ? SILENCE_MS : CALL_TIMEOUT_MS);
    socket.on("error", (error) => end({ outcome: error.message, by: "" }));
    socket.on("message", (bytes) => end({ outcome: "answered", by: hostname(bytes.toString()) }));
    socket.bind(0, from, () => socket.send("WHO", port, address));
  });
}

/** `Hostname:` of whoami's text, or `hostname` of its JSON. */
function hostname(body: string): string {
  return /(?:^Hostname: |"hostname": ?")([^\s"]+)/m.exec(body)?.[1] ?? "";
}
