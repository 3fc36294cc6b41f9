import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { type Clock, systemClock } from "../../model/clock.ts";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { type Log, silentLog } from "../../telemetry/log.ts";
import type { SampleSpec } from "./sample-images.ts";
import { SAMPLE_DRAIN_MS } from "./sample-server.ts";
import { type RunningSample, startSample } from "./samples.ts";

const IP = "127.1.78.1";
const CALLER = "127.1.78.2";
const SPEC: SampleSpec = { kind: "http", image: "traefik/whoami", port: 0, name: "", verbose: false, banner: false };

async function started(
  more: Partial<SampleSpec> = {},
  { clock = systemClock, log = silentLog }: { clock?: Clock; log?: Log } = {},
): Promise<RunningSample> {
  const sample = await startSample({ ...SPEC, ...more }, { podName: "whoami-1", address: IP, log, clock });
  onTestFinished(() => sample.close());
  return sample;
}

/** A caller that says and sees bytes; one character a byte. */
async function caller(sample: RunningSample): Promise<{ socket: net.Socket; from: string }> {
  const socket = net.connect({ host: IP, port: sample.port, localAddress: CALLER });
  socket.setEncoding("latin1");
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return { socket, from: `${CALLER}:${socket.localPort}` };
}

/** Reads until the condition holds, or to the end. */
function read(socket: net.Socket, until: (text: string) => boolean): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (part: string) => {
      text += part;
      if (until(text)) resolve(text);
    });
    socket.on("end", () => resolve(text));
  });
}

const toEnd = () => false;

/** Says one request and returns the body of the answer. */
async function say(sample: RunningSample, request: string): Promise<{ head: string; body: string; from: string }> {
  const { socket, from } = await caller(sample);
  socket.write(request, "latin1");
  const text = await read(socket, toEnd);
  const end = text.indexOf("\r\n\r\n") + 4;
  return { head: text.slice(0, end), body: text.slice(end), from };
}

test("GET / says who answered, and the request as it came", async () => {
  const sample = await started();
  const { socket, from } = await caller(sample);
  const request =
    "GET / HTTP/1.1\r\nHost: whoami.whoami.svc.cluster.local\r\nUser-Agent: curl/7.64.0\r\nAccept: */*\r\n\r\n";
  const answer = `Hostname: whoami-1\nIP: 127.0.0.1\nIP: ${IP}\nRemoteAddr: ${from}\n${request}`;
  socket.write(request);
  const text = await read(socket, (seen) => seen.endsWith(answer));
  expect(text.slice(text.indexOf("\r\n\r\n") + 4)).toBe(answer);
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\nContent-Type: text\/plain; charset=utf-8\r\n/);
  expect(text).toContain(`\r\nContent-Length: ${answer.length}\r\n`);
});

test("header fields come in Go's form: canonical, sorted, repeated ones in their order", async () => {
  const sample = await started({ name: "me" });
  const { body, from } = await say(
    sample,
    "DELETE /a%2Fb?q=1&q=%20 HTTP/1.1\r\nx-real-ip: 127.1.0.9\r\nACCEPT:*/*\r\nhost:  h:81 \r\nx-b: 2\r\nuser-agent: u\r\n" +
      "X-B: 1\r\nconnection: close\r\nx-a_b-1c: \xe9\r\n\r\n",
  );
  expect(body).toBe(
    `Name: me\nHostname: whoami-1\nIP: 127.0.0.1\nIP: ${IP}\nRemoteAddr: ${from}\n` +
      "DELETE /a%2Fb?q=1&q=%20 HTTP/1.1\r\nHost: h:81\r\nUser-Agent: u\r\nAccept: */*\r\nConnection: close\r\n" +
      "X-A_b-1c: \xe9\r\nX-B: 2\r\nX-B: 1\r\nX-Real-Ip: 127.1.0.9\r\n\r\n",
  );
});

test("without User-Agent, Go's own is printed; HTTP/1.0 is printed as a 1.1 that closes", async () => {
  const sample = await started();
  const { body } = await say(sample, "GET /x HTTP/1.0\r\n\r\n");
  expect(body).toMatch(
    /GET \/x HTTP\/1\.1\r\nHost: \r\nUser-Agent: Go-http-client\/1\.1\r\nConnection: close\r\n\r\n$/,
  );
});

test("a body comes back behind the head, framed as it came", async () => {
  const sample = await started();
  const close = "Host: h\r\nUser-Agent: u\r\nConnection: close\r\n";
  const counted = await say(sample, `POST / HTTP/1.1\r\n${close}Content-Length: 5\r\n\r\nhello`);
  expect(counted.body).toMatch(/\r\nUser-Agent: u\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello$/);
  expect(counted.head).toContain(`Content-Length: ${counted.body.length}\r\n`);
  const chunked = await say(
    sample,
    `PUT / HTTP/1.1\r\n${close}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  );
  expect(chunked.head).toContain("Transfer-Encoding: chunked\r\n");
  expect(chunked.body).toContain("User-Agent: u\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
  expect(chunked.body).toContain("5\r\nhello\r\n");
  const empty = await say(sample, `POST / HTTP/1.1\r\n${close}\r\n`);
  expect(empty.body).toMatch(/\r\nUser-Agent: u\r\nContent-Length: 0\r\nConnection: close\r\n\r\n$/);
});

test("an absolute target is printed by its path, with its own host", async () => {
  const sample = await started();
  const { body } = await say(sample, "GET http://a.b:81/p?q HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  expect(body).toContain("\nGET /p?q HTTP/1.1\r\nHost: a.b:81\r\n");
});

test("HEAD has the head of GET and nothing more", async () => {
  const sample = await started();
  const { head, body } = await say(sample, "HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  expect(head).toMatch(/\r\nContent-Length: [1-9]\d+\r\n/);
  expect(body).toBe("");
});

test("?wait= delays the answer by a Go duration, and anything else not at all", async () => {
  const clock = new ManualClock();
  const sample = await started({}, { clock });
  const waiting = say(sample, "GET /?wait=1m30s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const other = await say(sample, "GET /?wait=soon HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  expect(other.head).toContain("200 OK");
  clock.advance(89_999);
  const ended = await Promise.race([
    waiting.then(() => "answered"),
    new Promise((r) => setImmediate(() => r("waits"))),
  ]);
  expect(ended).toBe("waits");
  clock.advance(1);
  expect((await waiting).body).toContain("Hostname: whoami-1\n");
});

test("/data gives as many bytes as asked for, between two bars", async () => {
  const sample = await started();
  const body = async (query: string) => (await say(sample, `GET /data${query} HTTP/1.0\r\n\r\n`)).body;
  expect(await body("?size=30")).toBe("|ABCDEFGHIJKLMNOPQRSTUVWXYZ-A|");
  expect(await body("")).toBe("|");
  expect(await body("?size=x")).toBe("|");
  expect(await body("?size=0")).toBe("");
  expect(await body("?size=-1")).toBe("");
  expect((await body("?size=2&unit=kB")).length).toBe(2048);
  expect((await body("?size=2&unit=parsec")).length).toBe(2);
  const large = await body("?size=1&unit=MB");
  expect(large.length).toBe(1 << 20);
  expect(large).toMatch(/^\|[A-Z-]+\|$/);
  const letters = "-ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (const at of [64_799, 64_800, 64_801, 700_000]) expect(large[at]).toBe(letters[at % 27]);
});

test("/data as an attachment has its length and its disposition, and HEAD sends none of it", async () => {
  const sample = await started();
  const get = await say(
    sample,
    "GET /data?size=3&unit=KB&attachment=true HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
  );
  expect(get.head).toContain("Content-Disposition: attachment\r\n");
  expect(get.head).toContain("Content-Length: 3072\r\n");
  expect(get.body.length).toBe(3072);
  const head = await say(
    sample,
    "HEAD /data?size=1&unit=TB&attachment=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
  );
  expect(head.head).toContain(`Content-Length: ${2 ** 40}\r\n`);
  expect(head.body).toBe("");
});

test("/data stops when its reader goes away", async () => {
  const sample = await started({}, { clock: new ManualClock() });
  const { socket } = await caller(sample);
  socket.write("GET /data?size=1&unit=TB HTTP/1.1\r\nHost: h\r\n\r\n");
  await once(socket, "data");
  socket.destroy();
  // close() waits for the answer under way, and by this clock for ever.
  await sample.close();
});

test("/bench answers 1", async () => {
  const sample = await started();
  expect((await say(sample, "GET /bench HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")).body).toBe("1");
});

test("/api says the same as JSON", async () => {
  const sample = await started({ name: "me" });
  const { head, body, from } = await say(
    sample,
    "GET /api?a=1 HTTP/1.1\r\nHost: h\r\nx-b: 1\r\nX-B: 2\r\nAccept: */*\r\nConnection: close\r\n\r\n",
  );
  expect(head).toContain("Content-Type: application/json\r\n");
  expect(JSON.parse(body)).toEqual({
    hostname: "whoami-1",
    ip: ["127.0.0.1", IP],
    headers: { Accept: ["*/*"], Connection: ["close"], "X-B": ["1", "2"] },
    url: "/api?a=1",
    host: "h",
    method: "GET",
    name: "me",
    remoteAddr: from,
  });
  expect(Object.keys(JSON.parse(body).headers)).toEqual(["Accept", "Connection", "X-B"]);
});

test("/health answers the status that was posted last", async () => {
  const sample = await started();
  const status = async (request: string) => (await say(sample, request)).head.split(" ")[1];
  const get = "GET /health HTTP/1.0\r\n\r\n";
  const post = (body: string) => `POST /health HTTP/1.0\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  expect(await status(get)).toBe("200");
  expect(await status(post("503\n"))).toBe("200");
  expect(await status(get)).toBe("503");
  expect(await status("HEAD /health HTTP/1.0\r\n\r\n")).toBe("503");
  for (const bad of ["", "x", "100", "1000", "199", "2.5e2", "5".repeat(5000)])
    expect(await status(post(bad))).toBe("400");
  expect(await status(get)).toBe("503");
  expect(await status(post("204"))).toBe("200");
  const noContent = await say(sample, get);
  expect(noContent.head).not.toContain("Content-Length");
});

test("whoever offers an unknown upgrade gets the plain answer", async () => {
  const sample = await started();
  const { head, body } = await say(
    sample,
    "GET /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
  );
  expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(body).toContain("\nGET /x HTTP/1.1\r\nHost: h\r\n");
});

test("/echo without a handshake says what is missing", async () => {
  const sample = await started();
  const { head, body } = await say(sample, "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  expect(head).toMatch(/^HTTP\/1\.1 400 /);
  expect(body).toBe("Bad Request: 'upgrade' is missing in Connection\n");
});

test("with verbose, each request is logged", async () => {
  const said: unknown[] = [];
  const sample = await started({ verbose: true }, { log: { ...silentLog, info: (...all) => said.push(all) } });
  await say(sample, "GET /bench?x HTTP/1.0\r\n\r\n");
  expect(said).toEqual([["sample request", { pod: "whoami-1", method: "GET", target: "/bench?x" }]]);
});

test("close lets an answer under way finish, and ends idle and fresh connections at once", async () => {
  const clock = new ManualClock();
  const sample = await started({}, { clock });
  const agent = new http.Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  await new Promise<void>((resolve) =>
    http.get({ host: IP, port: sample.port, path: "/bench", agent }, (response) =>
      response.resume().on("end", resolve),
    ),
  );
  const fresh = await caller(sample);
  const busy = await caller(sample);
  busy.socket.write("GET /?wait=1s HTTP/1.1\r\nHost: h\r\n\r\n");
  const dummy = await say(sample, "GET /bench HTTP/1.0\r\n\r\n");
  expect(dummy.body).toBe("1");
  const closed = sample.close();
  await once(fresh.socket.resume(), "close");
  clock.advance(1000);
  const text = await read(busy.socket, toEnd);
  expect(text).toContain("Hostname: whoami-1\n");
  await closed;
});

test("a request that still comes in while it closes is answered, as the connection's last", async () => {
  const clock = new ManualClock();
  let seen = 0;
  let onSeen = () => {};
  const log: Log = {
    ...silentLog,
    info() {
      seen++;
      onSeen();
    },
  };
  const requests = async (count: number) => {
    while (seen < count)
      await new Promise<void>((resolve) => {
        onSeen = resolve;
      });
  };
  const sample = await started({ verbose: true }, { clock, log });
  const { socket } = await caller(sample);
  socket.write("GET /?wait=1s HTTP/1.1\r\nHost: h\r\n\r\n");
  await requests(1);
  const closed = sample.close();
  socket.write("GET /bench HTTP/1.1\r\nHost: h\r\n\r\n");
  await requests(2);
  clock.advance(1000);
  const text = await read(socket, toEnd);
  expect(text).toMatch(
    /Hostname: whoami-1\n[\s\S]*HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*Connection: close\r\n(?:.*\r\n)*\r\n1$/,
  );
  await closed;
});

test("what does not finish within the drain is cut", async () => {
  const clock = new ManualClock();
  const sample = await started({}, { clock });
  const busy = await caller(sample);
  busy.socket.write("GET /?wait=1h HTTP/1.1\r\nHost: h\r\n\r\n");
  await say(sample, "GET /bench HTTP/1.0\r\n\r\n");
  const closed = sample.close();
  clock.advance(SAMPLE_DRAIN_MS);
  await closed;
  await once(busy.socket.resume(), "close");
});
