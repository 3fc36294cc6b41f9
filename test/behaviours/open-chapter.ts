/** Behaviours with access control off. */
import net from "node:net";
import { client, ROUTES, server, service, split, TCP, UDP } from "../sample-manifests.ts";
import { type Behaviour, type Chapter, withEndpoints } from "./behaviour.ts";
import { type Calls, GRPC } from "./engine.ts";
import type { Echoed, FarEnds } from "./far-ends.ts";

const LIMIT = 'mesh.traefik.io/ratelimit-average: "1", mesh.traefik.io/ratelimit-burst: "3"';
const BREAKER = 'mesh.traefik.io/circuit-breaker-expression: "ResponseCodeRatio(500, 600, 0, 600) > 0.30"';
const RETRY = 'mesh.traefik.io/retry-attempts: "2"';
const HTTPS = "mesh.traefik.io/scheme: https, tulle.dev/tls-server-name";
/** Nothing listens there. */
const NOBODY = "127.9.9.9:9";
/** Calls until a breaker must have opened, or a limit been met. */
const MANY = 5_000;

const BETA = `
apiVersion: specs.smi-spec.io/v1alpha3
kind: HTTPRouteGroup
metadata: {name: beta, namespace: t}
spec: {matches: [{name: path, pathRegex: /beta, methods: [GET]}, {name: header, headers: [{X-Beta: "^yes$"}]}]}
---
`;

const manifests = (far: FarEnds): string =>
  [
    ROUTES,
    BETA,
    client("friend"),
    client("stranger"),
    server("web", { replicas: 2 }),
    service("empty"),
    server("limited", { annotations: LIMIT }),
    server("breaking", { annotations: BREAKER }),
    server("v1"),
    server("v2"),
    service("root"),
    split("root", { v1: 80, v2: 20 }),
    service("half"),
    split("half", { v1: 1, empty: 1 }),
    server("matched"),
    split("matched", { v2: 1 }, "matches: [{kind: HTTPRouteGroup, name: beta}]"),
    service("outer"),
    split("outer", { matched: 1 }),
    server("slow", { annotations: "tulle.dev/try-timeout: 100ms" }),
    server("whole", { annotations: "tulle.dev/request-timeout: 100ms" }),
    server("tcp", TCP),
    server("tcpb", TCP),
    service("tcproot", TCP),
    split("tcproot", { tcp: 3, tcpb: 1 }),
    server("udp", UDP),
    service("udproot", UDP),
    split("udproot", { udp: 1 }),
    withEndpoints("echo", [`127.0.0.1:${far.echo}`]),
    withEndpoints("h2c", [`127.0.0.1:${far.h2c}`], "mesh.traefik.io/scheme: h2c"),
    withEndpoints("tls", [`127.0.0.1:${far.https}`], `${HTTPS}: tulle-controller.test`),
    withEndpoints("tlsother", [`127.0.0.2:${far.https}`], `${HTTPS}: other.test`),
    withEndpoints("tlsany", [`127.0.0.2:${far.https}`], `${HTTPS}: other.test, tulle.dev/tls-verify: "false"`),
    withEndpoints("refused", [NOBODY]),
    withEndpoints("retried", [`127.0.0.1:${far.echo}`, NOBODY], RETRY),
    withEndpoints("reset", [`127.0.0.1:${far.echo}`, `127.0.0.1:${far.reset}`], RETRY),
    withEndpoints("late", [`127.0.0.1:${far.late}`], "mesh.traefik.io/traffic-type: tcp"),
  ].join("");

const echoed = async (calls: Calls, service: string, call: Parameters<Calls["http"]>[1] = {}): Promise<Echoed> => {
  const { status, body } = await calls.http(service, { from: "friend", ...call });
  if (status !== 200) throw new Error(`${status} ${body}`);
  return JSON.parse(body) as Echoed;
};

const answered = async (calls: Calls, service: string): Promise<string> => {
  const { status, body } = await calls.http(service);
  const { httpVersion, serverName } =
    status === 200 ? (JSON.parse(body) as Echoed) : { httpVersion: "", serverName: "" };
  return [status, httpVersion && `HTTP/${httpVersion}`, serverName].filter(Boolean).join(", ");
};

const behaviours: readonly Behaviour[] = [
  {
    title: "HTTP by a Service's name reaches its Pods in turn",
    run: async (calls) => {
      const names = new Set<string>();
      for (let call = 0; call < 20; call++) names.add((await calls.http("web")).hostname);
      return `${await calls.outcome("web")} from ${names.size} Pods`;
    },
    outcome: "200 web from 2 Pods",
  },
  {
    title: "the older domain and the Service's ClusterIP are names of it too",
    run: async (calls) => {
      const hosts = ["web.t.maesh", calls.engine.clusterIP("web"), "WEB.t.traefik.mesh:80"];
      const statuses = await Promise.all(hosts.map((Host) => calls.status("web", { headers: { Host } })));
      return statuses.join(", ");
    },
    outcome: "200, 200, 200",
  },
  {
    title: "another Host on a Service's port",
    run: (calls) => calls.outcome("web", { headers: { Host: "elsewhere.test" } }),
    outcome: { Tulle: "200 web", Traefik: "404" },
  },
  {
    title: "the endpoint is told the caller and the name, and Host stays",
    run: async (calls) => {
      const { headers } = await echoed(calls, "echo");
      const peer = calls.engine.pod("friend");
      const names = ["x-forwarded-for", "x-real-ip", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-server"];
      const said = names.filter((name) => headers[name] !== undefined).join(", ");
      const right = headers["x-forwarded-for"] === peer && headers["host"] === "echo.t.traefik.mesh";
      return right ? said : JSON.stringify(headers);
    },
    outcome: "x-forwarded-for, x-real-ip, x-forwarded-host, x-forwarded-proto, x-forwarded-server",
  },
  {
    title: "a caller's own X-Forwarded-For is kept, and its address appended",
    run: async (calls) => {
      const { headers } = await echoed(calls, "echo", { headers: { "X-Forwarded-For": "10.0.0.1" } });
      return (headers["x-forwarded-for"] ?? "").replace(calls.engine.pod("friend"), "caller");
    },
    outcome: "10.0.0.1, caller",
  },
  {
    title: "Accept-Encoding of a request that has none",
    run: async (calls) => (await echoed(calls, "echo")).headers["accept-encoding"] ?? "none",
    outcome: { Tulle: "none", Traefik: "gzip" },
  },
  {
    title: "a path with dot segments, encoded characters and a query arrives as",
    run: async (calls) => (await echoed(calls, "echo", { path: "/a/../b%20c//d?x=1;y=%2f" })).url,
    outcome: { Tulle: "/a/../b%20c//d?x=1;y=%2f", Traefik: "/b%20c/d?x=1&y=%2f" },
  },
  {
    title: "content of 1 MiB arrives whole",
    run: async (calls) => {
      const { length, method } = await echoed(calls, "echo", { method: "PUT", body: "x".repeat(1 << 20) });
      return `${method} ${length}`;
    },
    outcome: "PUT 1048576",
  },
  {
    title: "a caller may speak HTTP/2 with prior knowledge",
    run: async (calls) => {
      const { headers, body } = await calls.http2("web", "friend", { ":path": "/" });
      return `${headers[":status"]} ${/^Name: (.*)$/m.exec(body)?.[1]}`;
    },
    outcome: "200 web",
  },
  {
    title: "a WebSocket is opened, and echoes",
    run: (calls) => webSocket(calls, "web"),
    outcome: "101, echo",
  },
  {
    title: "scheme h2c: endpoints are asked in HTTP/2",
    run: (calls) => answered(calls, "h2c"),
    outcome: "200, HTTP/2.0",
  },
  {
    title: "a gRPC call passes with its trailers",
    run: async (calls) => {
      const { headers, trailers } = await calls.http2("h2c", "friend", GRPC);
      return `${headers[":status"]}, grpc-status ${trailers["grpc-status"]}`;
    },
    outcome: "200, grpc-status 0",
  },
  {
    title: "scheme https: TLS with the server name asked for, and its certificate checked",
    run: (calls) => answered(calls, "tls"),
    outcome: "200, HTTP/1.1, tulle-controller.test",
  },
  {
    title: "scheme https: a certificate of another name",
    run: (calls) => answered(calls, "tlsother"),
    outcome: { Tulle: "502", Traefik: "500" },
  },
  {
    title: "scheme https with tls-verify false: any certificate",
    run: (calls) => answered(calls, "tlsany"),
    outcome: "200, HTTP/1.1, other.test",
  },
  {
    title: "a Service without endpoints",
    run: (calls) => calls.outcome("empty"),
    outcome: "503",
  },
  {
    title: "an endpoint that refuses the connection",
    run: (calls) => calls.outcome("refused"),
    outcome: "502",
  },
  {
    title: "retry: what one endpoint of two refuses, the other answers; POST too",
    run: (calls) => calls.shares(10, () => calls.outcome("retried", { method: "POST", body: "x" })),
    outcome: "10 × 200",
  },
  {
    title: "retry: a GET whose connection one endpoint of two resets before an answer",
    run: (calls) => calls.shares(10, () => calls.outcome("reset")),
    outcome: { Tulle: "10 × 200", Traefik: "5 × 200, 5 × 502" },
  },
  {
    title: "rate limit: the burst passes, then 429 with Retry-After; another caller is not concerned",
    run: async (calls) => {
      const first = await calls.shares(3, () => calls.outcome("limited", { from: "friend" }));
      for (let call = 0; call < MANY; call++) {
        const { status, headers } = await calls.http("limited", { from: "friend" });
        if (status === 429) {
          const other = await calls.status("limited", { from: "stranger" });
          return `${first}, 429${headers["retry-after"] === undefined ? "" : " with Retry-After"}; ${other}`;
        }
      }
      return `${first}, never 429`;
    },
    outcome: "3 × 200 limited, 429 with Retry-After; 200",
  },
  {
    title: "circuit breaker: answers of 500 open it, and calls get 503",
    run: async (calls) => {
      await calls.http("breaking", { method: "POST", path: "/health", body: "500" });
      for (let call = 0; call < MANY; call++)
        if ((await calls.status("breaking", { path: "/health" })) === 503)
          return `503; another Service ${await calls.status("web")}`;
      return "never 503";
    },
    outcome: "503; another Service 200",
  },
  {
    title: "tulle.dev/try-timeout: an answer that does not begin in time",
    run: (calls) => calls.outcome("slow", { path: "/?wait=2s" }),
    outcome: "504",
  },
  {
    title: "tulle.dev/request-timeout: an answer that is not whole in time",
    run: (calls) => calls.outcome("whole", { path: "/?wait=300ms" }),
    outcome: { Tulle: "504", Traefik: "200 whole" },
  },
  {
    title: "a split of 80 to 20 is exact",
    run: (calls) => calls.shares(100, () => calls.outcome("root")),
    outcome: "80 × 200 v1, 20 × 200 v2",
  },
  {
    title: "a split with matches takes what fits, and leaves the rest to the Service",
    run: async (calls) => {
      const beta = [
        await calls.outcome("matched", { path: "/beta/x" }),
        await calls.outcome("matched", { headers: { "X-Beta": "yes" } }),
      ];
      const rest = [
        await calls.outcome("matched"),
        await calls.outcome("matched", { path: "/beta", method: "POST" }),
        await calls.outcome("matched", { headers: { "X-Beta": "yes!" } }),
      ];
      return `${beta.join(", ")}; ${rest.join(", ")}`;
    },
    outcome: "200 v2, 200 v2; 200 matched, 200 matched, 200 matched",
  },
  {
    title: "a split of a split with matches follows both",
    run: async (calls) =>
      `${await calls.outcome("outer", { path: "/beta" })}, ${await calls.outcome("outer", { path: "/" })}`,
    outcome: "200 v2, 200 matched",
  },
  {
    title: "a split's backend without endpoints: its share is told so",
    run: (calls) => calls.shares(10, () => calls.outcome("half")),
    outcome: "5 × 200 v1, 5 × 503",
  },
  {
    title: "TCP by a Service's port",
    run: (calls) => calls.tcp("tcp", 8080),
    outcome: "tcp",
  },
  {
    title: "TCP: a side that has ended still hears the other, however late",
    run: (calls) =>
      new Promise((resolve, reject) => {
        const socket = net.connect(calls.engine.at("late", 80), () => socket.end("x"));
        let text = "";
        socket.on("data", (bytes) => {
          text += bytes;
        });
        socket.on("error", reject);
        socket.on("close", () => resolve(text || "nothing"));
      }),
    outcome: "late",
  },
  {
    title: "a split of TCP of 3 to 1 is exact",
    run: (calls) => calls.shares(40, () => calls.tcp("tcproot", 8080)),
    outcome: "30 × tcp, 10 × tcpb",
  },
  {
    title: "UDP by a Service's port, and through a split",
    run: async (calls) => {
      const never = new Promise(() => {});
      return `${await calls.udp("udp", 8080, "friend", never)}, ${await calls.udp("udproot", 8080, "friend", never)}`;
    },
    outcome: "udp, udp",
  },
];

/** A text of 4 bytes there and back. RFC 6455 §5.7: a masked frame of a client, an unmasked one of a server. */
function webSocket(calls: Calls, service: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ ...calls.engine.at(service, 80), localAddress: calls.engine.pod("friend") });
    const head = [
      "GET /echo HTTP/1.1",
      `Host: ${service}.t.traefik.mesh`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    let received = Buffer.alloc(0);
    let isOpen = false;
    socket.on("data", (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      const end = received.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (!isOpen) {
        isOpen = true;
        socket.write(Buffer.from([0x81, 0x84, 0, 0, 0, 0, ...Buffer.from("echo")]));
      }
      const frame = received.subarray(end + 4);
      if (frame.length < 6) return;
      const status = received.toString("latin1", 9, 12);
      resolve(`${status}, ${frame.toString("latin1", 2, 6)}`);
      socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(`closed after ${JSON.stringify(received.toString("latin1"))}`));
  });
}

export const OPEN: Chapter = { title: "Without access control", accessControl: "off", manifests, behaviours };
