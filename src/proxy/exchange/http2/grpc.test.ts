/** gRPC through the proxy, by gRPC's own library on both sides. */
import { once } from "node:events";
import {
  type CallOptions,
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { FixtureOptions, HttpFixture } from "../testkit/http-fixture.ts";
import { closing, openProxy } from "../testkit/plain-peers.ts";

const asBytes = (text: string) => Buffer.from(text);
const asText = (bytes: Buffer) => bytes.toString();

const METHOD = {
  requestSerialize: asBytes,
  requestDeserialize: asText,
  responseSerialize: asBytes,
  responseDeserialize: asText,
};
const SERVICE = {
  say: { ...METHOD, path: "/test.Echo/Say", requestStream: false, responseStream: false },
  count: { ...METHOD, path: "/test.Echo/Count", requestStream: false, responseStream: true },
  join: { ...METHOD, path: "/test.Echo/Join", requestStream: true, responseStream: false },
  chat: { ...METHOD, path: "/test.Echo/Chat", requestStream: true, responseStream: true },
};

/** What the endpoint saw of calls that were given up. */
let cancelled = 0;
let metadataSeen: Metadata | undefined;

const say: handleUnaryCall<string, string> = (call, done) => {
  metadataSeen = call.metadata;
  if (call.request === "hang") call.on("cancelled", () => cancelled++);
  else if (call.request === "fail") done({ code: status.FAILED_PRECONDITION, details: "not today: 100 %" });
  else {
    const trailers = new Metadata();
    trailers.set("x-trailer", "last");
    done(null, call.request.toUpperCase(), trailers);
  }
};

const count: handleServerStreamingCall<string, string> = (call) => {
  for (let number = 1; number <= Number(call.request); number++) call.write(String(number));
  call.end();
};

const join: handleClientStreamingCall<string, string> = (call, done) => {
  const parts: string[] = [];
  call.on("data", (part: string) => parts.push(part));
  call.on("end", () => done(null, parts.join("+")));
};

const chat: handleBidiStreamingCall<string, string> = (call) => {
  call.on("data", (text: string) => call.write(`you said ${text}`));
  call.on("end", () => call.end());
};

let server: Server;
let address: string;

beforeEach(async () => {
  cancelled = 0;
  server = new Server();
  server.addService(SERVICE, { say, count, join, chat });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  address = `127.0.0.1:${port}`;
  onTestFinished(() => server.forceShutdown());
});

async function connect(options: Partial<FixtureOptions> = {}): Promise<{ fixture: HttpFixture; client: EchoClient }> {
  const servicePort = { scheme: "h2c", ...options.servicePort } as const;
  const fixture = await openProxy([address], { ...options, servicePort });
  const client = closing(new EchoClient(`127.0.0.1:${fixture.port}`));
  return { fixture, client };
}

class EchoClient {
  readonly #client: Client;

  constructor(target: string) {
    this.#client = new Client(target, credentials.createInsecure());
  }

  close(): void {
    this.#client.close();
  }

  say(text: string, options: CallOptions = {}, metadata = new Metadata()) {
    return this.start(text, options, metadata).answer;
  }

  start(text: string, options: CallOptions = {}, metadata = new Metadata()) {
    let cancel = () => {};
    let trailers: Metadata | undefined;
    const answer = new Promise<{ text: string | undefined; trailers: Metadata | undefined }>((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = SERVICE.say;
      const done = (error: ServiceError | null, value?: string) => {
        if (error !== null) reject(error);
        // The status event, with the trailers, comes in the same step.
        else setImmediate(() => resolve({ text: value, trailers }));
      };
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        text,
        metadata,
        options,
        done,
      );
      call.on("status", (each) => {
        trailers = each.metadata;
      });
      cancel = () => call.cancel();
    });
    return { answer, cancel };
  }

  count(to: number) {
    const { path, requestSerialize, responseDeserialize } = SERVICE.count;
    return this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, String(to));
  }

  join(parts: readonly string[]): Promise<string | undefined> {
    const { path, requestSerialize, responseDeserialize } = SERVICE.join;
    return new Promise((resolve, reject) => {
      const call = this.#client.makeClientStreamRequest<string, string>(
        path,
        requestSerialize,
        responseDeserialize,
        (error, value) => (error === null ? resolve(value) : reject(error)),
      );
      for (const part of parts) call.write(part);
      call.end();
    });
  }

  chat() {
    const { path, requestSerialize, responseDeserialize } = SERVICE.chat;
    return this.#client.makeBidiStreamRequest<string, string>(path, requestSerialize, responseDeserialize);
  }
}

const codeOf = async (answer: Promise<unknown>): Promise<ServiceError> =>
  answer.then(
    () => {
      throw new Error("it was answered");
    },
    (error: ServiceError) => error,
  );

describe("gRPC passes", () => {
  test("as a unary call, with metadata and trailers", async () => {
    const { client } = await connect();
    const metadata = new Metadata();
    metadata.set("x-text", "v");
    metadata.set("x-data-bin", Buffer.from([0, 1, 254, 255]));
    const { text, trailers } = await client.say("hello", {}, metadata);
    expect(text).toBe("HELLO");
    expect(trailers?.get("x-trailer")).toEqual(["last"]);
    expect(metadataSeen?.get("x-text")).toEqual(["v"]);
    expect(metadataSeen?.get("x-data-bin")).toEqual([Buffer.from([0, 1, 254, 255])]);
  });

  test("as an endpoint's own status, in trailers alone", async () => {
    const { client } = await connect();
    expect(await codeOf(client.say("fail"))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: "not today: 100 %",
    });
  });

  test("as messages of a megabyte", async () => {
    const { client } = await connect();
    const text = "x".repeat(1024 * 1024);
    expect((await client.say(text)).text).toBe(text.toUpperCase());
  });

  test("as a stream of the endpoint", async () => {
    const { client } = await connect();
    const numbers: string[] = [];
    for await (const number of client.count(5000)) numbers.push(number as string);
    expect(numbers).toEqual(Array.from({ length: 5000 }, (_, index) => String(index + 1)));
  });

  test("as a stream of the caller", async () => {
    const { client } = await connect();
    const parts = Array.from({ length: 2000 }, (_, index) => `part ${index}`);
    expect(await client.join(parts)).toBe(parts.join("+"));
  });

  test("as a conversation, message by message", async () => {
    const { client } = await connect();
    const call = client.chat();
    for (const text of ["one", "two", "three"]) {
      call.write(text);
      expect((await once(call, "data"))[0]).toBe(`you said ${text}`);
    }
    call.end();
    call.resume();
    await once(call, "end");
  });

  test("in a thousand calls at once", async () => {
    const { client } = await connect();
    const answers = await Promise.all(Array.from({ length: 1000 }, (_, index) => client.say(`call ${index}`)));
    expect(answers.map(({ text }) => text)).toEqual(Array.from({ length: 1000 }, (_, index) => `CALL ${index}`));
  });
});

describe("what a caller gives up, the endpoint hears of", () => {
  test("in a thousand cancellations", async () => {
    const { fixture, client } = await connect();
    for (let round = 0; round < 10; round++) {
      const before = fixture.records.length;
      const calls = Array.from({ length: 100 }, () => client.start("hang"));
      await new Promise(setImmediate);
      for (const { cancel } of calls) cancel();
      const errors = await Promise.all(calls.map(({ answer }) => codeOf(answer)));
      expect(errors.every(({ code }) => code === status.CANCELLED)).toBe(true);
      expect((await client.say("still here")).text).toBe("STILL HERE");
      expect(fixture.records.length).toBeGreaterThan(before);
    }
    expect(fixture.records.filter(({ failure }) => failure !== "" && failure !== "ClientGone")).toEqual([]);
    expect(fixture.engine.openUpstreamConnections).toBe(1);
  });

  test("as a deadline", async () => {
    const { client } = await connect();
    // All connections are there, so that the call is at the endpoint well before it is given up.
    await client.say("hello");
    const error = await codeOf(client.say("hang", { deadline: Date.now() + 500 }));
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    expect(metadataSeen?.getMap()).not.toHaveProperty("x-tulle-reason");
    while (cancelled === 0) await new Promise(setImmediate);
  });
});

describe("a failure of the proxy is a gRPC status", () => {
  test("UNAVAILABLE without endpoints", async () => {
    const { client } = await connect({ endpoints: [] });
    const error = await codeOf(client.say("hello"));
    expect(error.code).toBe(status.UNAVAILABLE);
    expect(error.details).toBe("NoEndpoint: The service has no ready endpoint.");
    expect(error.metadata.get("x-tulle-reason")).toEqual(["NoEndpoint"]);
  });

  test("PERMISSION_DENIED where access control says no", async () => {
    const { client } = await connect({ config: { accessControl: "on" } });
    expect((await codeOf(client.say("hello"))).code).toBe(status.PERMISSION_DENIED);
  });

  test("RESOURCE_EXHAUSTED over the rate limit", async () => {
    const { client } = await connect({ servicePort: { middlewares: { rateLimit: { average: 1, burst: 1 } } } });
    const calls = await Promise.allSettled(Array.from({ length: 5 }, () => client.say("hello")));
    const codes = calls.map((each) => (each.status === "rejected" ? (each.reason as ServiceError).code : status.OK));
    expect(new Set(codes)).toEqual(new Set([status.OK, status.RESOURCE_EXHAUSTED]));
  });

  test("UNAVAILABLE where the endpoint goes within a call, and the next call is served", async () => {
    const { client } = await connect();
    await client.say("hello");
    const broken = codeOf(client.say("hang"));
    while (metadataSeen === undefined) await new Promise(setImmediate);
    server.forceShutdown();
    expect([status.UNAVAILABLE, status.INTERNAL, status.CANCELLED]).toContain((await broken).code);
    expect((await codeOf(client.say("again"))).code).toBe(status.UNAVAILABLE);
  });
});
