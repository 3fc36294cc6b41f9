/** Calls from any address of this machine, each on a connection of its own. */
import dgram from "node:dgram";
import http from "node:http";
import net from "node:net";

/** Where a call goes. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** `Hostname:` of whoami. */
  readonly hostname: string;
  /** `Name:` of whoami. */
  readonly name: string;
}

export interface HttpCall {
  /** The caller's address; absent: any. */
  readonly localAddress?: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string;
  readonly agent?: http.Agent;
}

export function callHttp(place: Place, call: HttpCall = {}): Promise<Answer> {
  const { localAddress, method = "GET", path = "/", headers = {}, body, agent = false } = call;
  const from = localAddress === undefined ? {} : { localAddress };
  return new Promise((resolve, reject) => {
    const request = http.request({ ...place, method, path, headers, ...from, agent }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: text,
          hostname: hostnameIn(text) ?? "",
          name: /^Name: (.*)$/m.exec(text)?.[1] ?? "",
        }),
      );
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** What a TCP whoami answers to `WHO`: its Hostname; "reset" where it resets, "closed" where it closes. */
export function callTcp(place: Place, localAddress?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ ...place, ...(localAddress === undefined ? {} : { localAddress }) });
    let text = "";
    socket.on("connect", () => socket.write("WHO"));
    socket.on("data", (bytes) => {
      text += bytes.toString();
      if (text.includes("IP:")) socket.end();
    });
    socket.on("error", (error: NodeJS.ErrnoException) =>
      error.code === "ECONNRESET" || error.code === "EPIPE" ? resolve("reset") : reject(error),
    );
    socket.on("close", () => resolve(hostnameIn(text) ?? "closed"));
  });
}

/** What a UDP whoami answers to `WHO`: its Hostname; "silence" where nothing comes until then. */
export function callUdp(place: Place, localAddress: string, silence: Promise<unknown>): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket("udp4");
    let over = false;
    const end = (answer: string) => {
      if (over) return;
      over = true;
      socket.removeAllListeners();
      socket.close();
      resolve(answer);
    };
    socket.on("error", reject);
    socket.on("message", (bytes) => end(hostnameIn(bytes.toString()) ?? bytes.toString()));
    socket.bind(0, localAddress, () => {
      socket.send("WHO", place.port, place.host);
      void silence.then(() => end("silence"));
    });
  });
}

function hostnameIn(text: string): string | undefined {
  return /^Hostname: (.*)$/m.exec(text)?.[1];
}
