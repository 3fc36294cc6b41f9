import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { expect, test } from "vitest";
import { CERTIFICATE, KEY } from "../../model/testkit/certificate.ts";
import { resetSocket } from "../socket/reset-socket.ts";
import { type FarEnd, type FarEndTls, type FixtureOptions, HttpFixture } from "./testkit/http-fixture.ts";
import { answering, closing, farEnd, OK } from "./testkit/plain-peers.ts";

/** The certificate is for this name, and for 127.0.0.1. */
const NAME = "tulle-controller.test";
const GET = "GET / HTTP/1.1\r\nHost: svc\r\n\r\n";
const SECURE: FarEndTls = { cert: CERTIFICATE, key: KEY, ALPNProtocols: ["http/1.1"] };

async function endpoint(address = "127.0.0.1", secure: FarEndTls = SECURE, answer = OK): Promise<FarEnd> {
  return answering(answer, { address, secure });
}

async function open(
  endpoints: readonly FarEnd[],
  settings: Partial<{ verify: boolean; serverName: string; trustedCa: string | undefined }> = {},
  more: Partial<FixtureOptions> = {},
): Promise<HttpFixture> {
  const { verify = true, serverName = NAME } = settings;
  const trustedCa = "trustedCa" in settings ? settings.trustedCa : CERTIFICATE;
  return closing(
    await HttpFixture.open({
      endpoints: endpoints.map((each) => each.address),
      ...(trustedCa === undefined ? {} : { trustedCa }),
      ...more,
      servicePort: { scheme: "https", tls: { verify, serverName }, ...more.servicePort },
    }),
  );
}

async function call(fixture: HttpFixture): Promise<string> {
  const caller = await fixture.caller();
  caller.send(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  return caller.end();
}

const socketsOf = (end: FarEnd) => end.connections.map(({ socket }) => socket as tls.TLSSocket);

test("the endpoint is called by TLS, under the name of its service", async () => {
  let asked: string | undefined;
  const secure: FarEndTls = {
    ...SECURE,
    SNICallback: (name, done) => {
      asked = name;
      done(null);
    },
  };
  const end = await endpoint("127.0.0.2", secure);
  expect(await call(await open([end]))).toMatch(/^HTTP\/1\.1 200 OK\r\n(.*\r\n)+ok$/);
  expect(asked).toBe(NAME);
  expect(socketsOf(end)[0]?.alpnProtocol).toBe("http/1.1");
  expect(end.received).toMatch(/^GET \/ HTTP\/1\.1\r\nHost: svc\r\n/);
});

test("a certificate for the endpoint's address will do, too", async () => {
  const end = await endpoint("127.0.0.1");
  expect(await call(await open([end], { serverName: "web.shop.svc" }))).toMatch(/^HTTP\/1\.1 200 /);
});

test.each([
  ["that nobody trusts", "127.0.0.2", { trustedCa: undefined }],
  ["for another name and address", "127.0.0.2", { serverName: "web.shop.svc" }],
])("of an endpoint with a certificate %s, nothing is asked", async (_, address, settings) => {
  const end = await endpoint(address);
  const fixture = await open([end], settings);
  const answer = await call(fixture);
  expect(answer).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);
  expect(answer).toContain("X-Tulle-Reason: UpstreamTls\r\n");
  expect(end.received).toBe("");
});

test("with verification off, any certificate will do", async () => {
  const end = await endpoint("127.0.0.2");
  const fixture = await open([end], { verify: false, serverName: "web.shop.svc", trustedCa: undefined });
  expect(await call(fixture)).toMatch(/^HTTP\/1\.1 200 /);
});

test("an endpoint that does not speak TLS, or closes within the handshake, is told so", async () => {
  const plain = await farEnd((socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
  const closes = await farEnd((socket) => socket.end());
  expect(await call(await open([plain]))).toContain("X-Tulle-Reason: UpstreamTls\r\n");
  expect(await call(await open([closes]))).toContain("X-Tulle-Reason: UpstreamTls\r\n");
});

test("a handshake that does not come to an end is a connection that did not come about in time", async () => {
  const silent = await farEnd();
  const fixture = await open([silent], {}, { connectTimeoutMs: 100 });
  expect(await call(fixture)).toContain("X-Tulle-Reason: ConnectTimeout\r\n");
});

test("where nothing was sent yet, another endpoint is tried", async () => {
  const plain = await farEnd((socket) => socket.end());
  const good = await endpoint("127.0.0.1");
  const fixture = await open([plain, good], {}, { servicePort: { middlewares: { retry: { attempts: 2 } } } });
  for (let turn = 0; turn < 4; turn++) expect(await call(fixture)).toMatch(/^HTTP\/1\.1 200 /);
});

test("requests share a connection, and a new connection resumes the session of the last", async () => {
  const end = await endpoint("127.0.0.1");
  const fixture = await open([end]);
  expect(await call(fixture)).toMatch(/ 200 /);
  expect(await call(fixture)).toMatch(/ 200 /);
  expect(end.connections).toHaveLength(1);
  socketsOf(end)[0]?.end();
  await end.until(() => end.connections[0]?.ended === true);
  expect(await call(fixture)).toMatch(/ 200 /);
  expect(socketsOf(end)[1]?.isSessionReused()).toBe(true);
});

test("bytes that nobody asked for end an idle connection under TLS too", async () => {
  const end = await endpoint();
  const fixture = await open([end]);
  const caller = await fixture.caller();
  caller.send(GET);
  await caller.until(() => caller.received.endsWith("ok"));
  socketsOf(end)[0]?.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  await end.until(() => end.connections[0]?.ended === true || end.connections[0]?.reset === true);
  caller.send(GET);
  await caller.until(() => caller.received.split("ok").length === 3);
  expect(caller.received).not.toContain("evil");
  expect(end.connections).toHaveLength(2);
});

test("connections made under other settings are not used any more", async () => {
  const end = await endpoint("127.0.0.1");
  const fixture = await open([end]);
  expect(await call(fixture)).toMatch(/ 200 /);
  fixture.apply({
    endpoints: [end.address],
    servicePort: { scheme: "https", tls: { verify: true, serverName: "web.shop.svc" } },
  });
  expect(await call(fixture)).toMatch(/ 200 /);
  expect(end.connections).toHaveLength(2);
  expect(socketsOf(end)[1]?.isSessionReused()).toBe(false);
});

test("a large body passes both ways, at the pace of the slower side", async () => {
  const size = 3_000_000;
  const end = await farEnd(
    (socket: net.Socket, received) => {
      const at = received.indexOf("\r\n\r\n");
      if (at < 0 || received.length < at + 4 + size) return;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n${"y".repeat(size)}`);
    },
    { secure: SECURE },
  );
  const caller = await (await open([end])).caller();
  caller.send(
    `POST / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n${"x".repeat(size)}`,
  );
  const answer = await caller.end();
  expect(answer.length - answer.indexOf("\r\n\r\n") - 4).toBe(size);
});

test("an answer that is cut short breaks the caller's connection", async () => {
  const end = await farEnd(
    (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", () => socket.destroy()),
    { secure: SECURE },
  );
  const caller = await (await open([end])).caller();
  caller.send(GET);
  await caller.end();
  expect([caller.error, caller.ended]).toEqual(["ECONNRESET", false]);
});

test("an answer that ends by close and is cut off by a reset does not come to a clean end", async () => {
  const server = net.createServer((socket) => {
    const secure = new tls.TLSSocket(socket, { isServer: true, cert: CERTIFICATE, key: KEY });
    secure.on("error", () => {});
    secure.on("data", () => secure.write("HTTP/1.1 200 OK\r\n\r\nhello", () => resetSocket(socket)));
  });
  server.listen(0, "127.0.0.1");
  closing(server);
  await once(server, "listening");
  const endpoints = [`127.0.0.1:${(server.address() as net.AddressInfo).port}`];
  const fixture = await open([], {}, { endpoints });
  const caller = await fixture.caller();
  caller.send(GET);
  expect(await caller.end()).not.toContain("\r\n0\r\n\r\n");
  expect(fixture.records.map(({ failure }) => failure)).toEqual(["UpstreamReset"]);
});
