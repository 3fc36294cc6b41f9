/** Traces through the proxy where callers or endpoints speak HTTP/2. */
import {
  Client,
  credentials,
  status as grpcStatus,
  type handleUnaryCall,
  Server,
  ServerCredentials,
} from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { addressPort } from "../../config/mesh-config.ts";
import type { Span } from "../tracing/span.ts";
import { FarEnd } from "./testkit/http-fixture.ts";
import { Http2Caller, Http2FarEnd } from "./testkit/http2-peers.ts";
import { expectTrace, get, linesOf, openTraced, PARENT, SAMPLED, TRACE } from "./testkit/traced-proxy.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const open: typeof openTraced = async (...options) => {
  const traced = await openTraced(...options);
  closing.push(() => traced.proxy.close());
  return traced;
};

describe("over HTTP/2", () => {
  test("a context goes on below the try, from h2c to h2c and to HTTP/1.1", async () => {
    const seen: string[] = [];
    const far = await Http2FarEnd.listen((stream, headers) => {
      seen.push(String(headers["traceparent"]));
      stream.respond({ ":status": 200 });
      stream.end("ok");
    });
    closing.push(() => far.close());
    const plain = await FarEnd.answering(OK);
    closing.push(() => plain.close());
    for (const [endpoint, scheme, version] of [
      [far.address, "h2c", "2"],
      [plain.address, "http", "1.1"],
    ] as const) {
      const { proxy, spans } = await open([endpoint], {}, { servicePort: { scheme } });
      const caller = new Http2Caller(proxy.port);
      closing.push(() => caller.close());
      await caller.call({ ":path": "/a", traceparent: SAMPLED, tracestate: "a=b" });
      const [server, client] = expectTrace(spans, 1, PARENT) as [Span, Span];
      const carried = `00-${TRACE}-${client.spanId}-01`;
      expect(scheme === "h2c" ? seen : linesOf(plain.received, "traceparent")).toEqual([carried]);
      expect(server.attributes).toMatchObject({ "network.protocol.version": "2", "server.address": "svc.ns" });
      expect(client.attributes["network.protocol.version"]).toBe(version);
    }
    expect(linesOf(plain.received, "tracestate")).toEqual(["a=b"]);
  });

  test("tries carry each its own context, and no other", async () => {
    const seen: unknown[] = [];
    const far = await Http2FarEnd.listen((stream, headers) => {
      seen.push(headers["traceparent"]);
      stream.respond({ ":status": seen.length < 3 ? 503 : 200 });
      stream.end();
    });
    closing.push(() => far.close());
    const retry = { attempts: 3, statuses: [[503, 504]] as [number, number][] };
    const { proxy, spans } = await open([far.address], {}, { servicePort: { scheme: "h2c", middlewares: { retry } } });
    await proxy.exchange(get());
    const [server, ...clients] = expectTrace(spans, 3);
    expect(seen).toEqual(clients.map(({ spanId }) => `00-${server.traceId}-${spanId}-01`));
  });

  test("gRPC's status is told, of a call that went well and of one that did not", async () => {
    const bytes = (text: string) => Buffer.from(text);
    const text = (buffer: Buffer) => buffer.toString();
    const method = {
      ...{ path: "/t.T/Say", requestStream: false, responseStream: false },
      ...{ requestSerialize: bytes, requestDeserialize: text, responseSerialize: bytes, responseDeserialize: text },
    };
    const carried: string[] = [];
    const say: handleUnaryCall<string, string> = ({ request, metadata }, done) => {
      carried.push(String(metadata.get("traceparent")[0]));
      if (request === "fail") done({ code: grpcStatus.UNAVAILABLE, details: "no" });
      else done(null, "yes");
    };
    const server = new Server();
    server.addService({ say: method }, { say });
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    closing.push(() => server.forceShutdown());
    const endpoint = addressPort("127.0.0.1", port);
    const { proxy, spans } = await open([endpoint], {}, { servicePort: { scheme: "h2c" } });
    const client = new Client(`127.0.0.1:${proxy.port}`, credentials.createInsecure());
    closing.push(() => client.close());
    const call = (message: string) =>
      new Promise<unknown>((resolve) =>
        client.makeUnaryRequest(method.path, bytes, text, message, (error, value) => resolve(error?.code ?? value)),
      );
    expect([await call("hello"), await call("fail")]).toEqual(["yes", grpcStatus.UNAVAILABLE]);
    const [fine, bad] = [spans.slice(0, 2), spans.slice(2)];
    for (const each of [fine, bad]) expectTrace(each, 1);
    expect(carried).toEqual([fine[1], bad[1]].map((span) => `00-${span?.traceId}-${span?.spanId}-01`));
    for (const span of fine) expect(span).toMatchObject({ failed: false, attributes: { "rpc.grpc.status_code": 0 } });
    for (const span of bad) expect(span).toMatchObject({ failed: true, attributes: { "rpc.grpc.status_code": 14 } });
  });
});
