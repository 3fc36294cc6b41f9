/** The callers of the soak: each is a lane that calls, checks every byte of what comes back, and calls again. */
import { createHash, randomBytes } from "node:crypto";
import dgram from "node:dgram";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { Client, credentials } from "@grpc/grpc-js";
import { delay } from "./processes.mjs";

const PATIENCE_MS = 60_000;
const KIB = 1024;
const between = (least, most) => least + Math.floor(Math.random() * (most - least));
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** Rejects, and abandons the call, when it takes too long: one that hangs is one that failed. */
function inTime(promise, abandon) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error("no end in time"));
      abandon();
    }, PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function expectEqual(what, seen, wanted) {
  if (seen !== wanted) throw new Error(`${what} ${String(seen).slice(0, 60)} for ${String(wanted).slice(0, 60)}`);
}

/** Reads a stream to its end, `pauseMs` after each 64 KiB; gives its bytes' count and, when short, its text. */
async function readAll(stream, pauseMs = 0) {
  let [bytes, text, sincePause] = [0, "", 0];
  for await (const piece of stream) {
    bytes += piece.length;
    sincePause += piece.length;
    if (bytes <= KIB) text += piece.toString("latin1");
    if (pauseMs > 0 && sincePause >= 64 * KIB) {
      sincePause = 0;
      await delay(pauseMs);
    }
  }
  return { bytes, text };
}

/** Sends `pieces` with a pause after each, then ends. */
async function writeAll(stream, pieces, pauseMs) {
  for (const piece of pieces) {
    if (!stream.write(piece)) await new Promise((resolve) => stream.once("drain", resolve).once("close", resolve));
    if (pauseMs > 0) await delay(pauseMs);
  }
  stream.end();
}

/** A call of HTTP/1.1; `pieces` are content without a length said before. */
function call1(entry, agent, { method = "GET", path, body, pieces, pauseMs = 0 }) {
  const headers = body === undefined ? {} : { "content-length": body.length };
  const request = http.request({ host: entry.address, port: entry.port, agent, method, path, headers });
  const answer = new Promise((resolve, reject) => {
    request.once("error", reject);
    request.once("response", async (response) => {
      try {
        const read = await readAll(response, pauseMs);
        resolve({ status: response.statusCode, reason: response.headers["x-tulle-reason"], ...read });
      } catch (error) {
        reject(error);
      }
    });
  });
  if (pieces === undefined) request.end(body);
  else void writeAll(request, pieces, pauseMs);
  return inTime(answer, () => request.destroy());
}

const said = ({ status, reason }) => `${status}${reason === undefined ? "" : ` ${reason}`}`;

async function get1(entry, agent, bytes, pauseMs) {
  const answer = await call1(entry, agent, { path: `/bytes/${bytes}`, pauseMs });
  expectEqual("status", said(answer), "200");
  expectEqual("bytes", answer.bytes, bytes);
}

async function post1(entry, agent, options) {
  const sent = options.body ?? Buffer.concat(options.pieces);
  const answer = await call1(entry, agent, { method: "POST", path: "/hash", ...options });
  expectEqual("status", said(answer), "200");
  expectEqual("hash", answer.text, sha256(sent));
}

/** Starts something that will be long, and cuts it. */
async function abort1(entry, agent) {
  const upload = Math.random() < 0.5;
  const options = { host: entry.address, port: entry.port, agent };
  const request = upload
    ? http.request({ ...options, method: "POST", path: "/hash" })
    : http.request({ ...options, path: `/bytes/${8 * KIB * KIB}` });
  request.on("error", () => {});
  request.on("response", (response) => response.on("error", () => {}).on("data", () => {}));
  if (upload) request.write(randomBytes(between(1, 256 * KIB)));
  else request.end();
  await delay(between(0, 60));
  request.destroy();
}

/** A call of HTTP/2 on a session that others share. */
function call2(session, { method = "GET", path, body }) {
  const stream = session.request({ ":method": method, ":path": path }, { endStream: body === undefined });
  const answer = new Promise((resolve, reject) => {
    stream.once("error", reject);
    stream.once("response", async (headers) => {
      try {
        resolve({ status: headers[":status"], reason: headers["x-tulle-reason"], ...(await readAll(stream)) });
      } catch (error) {
        reject(error);
      }
    });
  });
  if (body !== undefined) stream.end(body);
  return inTime(answer, () => stream.close());
}

/** What lanes have open between their calls. */
class Connections {
  #closers = [];

  agent() {
    const agent = new http.Agent({ keepAlive: true });
    this.#closers.push(() => agent.destroy());
    return agent;
  }

  /** Gives the lane's session, and a new one where that ended. */
  session({ address, port }) {
    let session;
    this.#closers.push(() => session?.destroy());
    return () => {
      if (session === undefined || session.closed || session.destroyed) {
        session = http2.connect(`http://${address}:${port}`);
        session.on("error", () => {}); // each stream has it too
      }
      return session;
    };
  }

  grpc({ address, port }) {
    const client = new Client(`${address}:${port}`, credentials.createInsecure());
    this.#closers.push(() => client.close());
    return client;
  }

  close() {
    for (const closer of this.#closers) closer();
  }
}

async function get2(session, bytes) {
  const answer = await call2(session, { path: `/bytes/${bytes}` });
  expectEqual("status", said(answer), "200");
  expectEqual("bytes", answer.bytes, bytes);
}

async function post2(session, bytes) {
  const body = randomBytes(bytes);
  const answer = await call2(session, { method: "POST", path: "/hash", body });
  expectEqual("status", said(answer), "200");
  expectEqual("hash", answer.text, sha256(body));
}

async function abort2(session) {
  const stream = session.request({ ":path": `/bytes/${8 * KIB * KIB}` });
  stream.on("error", () => {}).on("data", () => {});
  await delay(between(0, 60));
  stream.close(http2.constants.NGHTTP2_CANCEL);
}

const asIs = (bytes) => bytes;

/** A call and its answer, or a call and twenty answers, of gRPC. */
function grpcCall(client, many) {
  const message = randomBytes(between(1, 8 * KIB));
  const options = { deadline: Date.now() + PATIENCE_MS };
  return new Promise((resolve, reject) => {
    if (!many) {
      client.makeUnaryRequest("/soak.Soak/One", asIs, asIs, message, options, (error, answer) => {
        if (error !== null) reject(error);
        else resolve([answer]);
      });
      return;
    }
    const answers = [];
    const stream = client.makeServerStreamRequest("/soak.Soak/Many", asIs, asIs, message, options);
    stream.on("data", (answer) => answers.push(answer)).once("error", reject);
    stream.once("end", () => resolve(answers));
  }).then((answers) => {
    expectEqual("messages", answers.length, many ? 20 : 1);
    for (const answer of answers) expectEqual("message", Buffer.compare(answer, message), 0);
  });
}

/** A flow that says something, ends its side, and must hear all of it again. */
async function flow(entry) {
  const socket = net.connect({ host: entry.address, port: entry.port, allowHalfOpen: true });
  const pieces = Array.from({ length: between(1, 8) }, () => randomBytes(between(1, 64 * KIB)));
  const failed = new Promise((_, reject) => socket.once("error", reject));
  failed.catch(() => {});
  const heard = createHash("sha256");
  const ended = new Promise((resolve) => {
    socket.on("data", (piece) => heard.update(piece)).once("end", resolve);
  });
  void writeAll(socket, pieces, between(0, 30));
  await inTime(Promise.race([ended, failed]), () => socket.destroy());
  socket.destroy();
  expectEqual("echo", heard.digest("hex"), sha256(Buffer.concat(pieces)));
}

/** Datagrams one after the other from one socket; a lost one is not repeated. */
async function datagrams(entry) {
  const socket = dgram.createSocket("udp4");
  try {
    for (let sent = 0; sent < 10; sent++) {
      const message = randomBytes(between(1, 1200));
      const answer = new Promise((resolve, reject) => socket.once("message", resolve).once("error", reject));
      socket.send(message, entry.port, entry.address);
      expectEqual("datagram", Buffer.compare(await inTime(answer, () => {}), message), 0);
    }
  } finally {
    socket.close();
  }
}

const small = () => between(0, 2 * KIB);
const either = (one, other) => (Math.random() < 0.5 ? one() : other());
const content = (most) => randomBytes(between(1, most));
const drops = () => Array.from({ length: 20 }, () => content(4 * KIB));

/**
 * By kind: how many lanes, the longest rest between two calls, and what makes a lane's call. `cuts`: it is given up.
 */
const KINDS = {
  "HTTP/1.1 GET": {
    lanes: 8,
    restMs: 10,
    make:
      ({ app }, agent) =>
      () =>
        get1(app, agent, small()),
  },
  "HTTP/1.1 POST": {
    lanes: 6,
    restMs: 10,
    make:
      ({ app }, agent) =>
      () =>
        post1(app, agent, { body: content(200 * KIB) }),
  },
  "HTTP/1.1, a connection each": {
    lanes: 3,
    restMs: 20,
    make:
      ({ app }) =>
      () =>
        get1(app, false, small()),
  },
  "HTTP/1.1, split": {
    lanes: 4,
    restMs: 10,
    make:
      ({ root }, agent) =>
      () =>
        get1(root, agent, small()),
  },
  "HTTP/1.1, slow reader": {
    lanes: 4,
    restMs: 50,
    make:
      ({ app }, agent) =>
      () =>
        get1(app, agent, between(1, 2 * KIB * KIB), 25),
  },
  "HTTP/1.1, slow writer": {
    lanes: 4,
    restMs: 50,
    make:
      ({ app }, agent) =>
      () =>
        post1(app, agent, { pieces: drops(), pauseMs: 40 }),
  },
  "HTTP/1.1, endpoints crash": {
    lanes: 6,
    restMs: 10,
    make:
      ({ crash }, agent) =>
      () =>
        get1(crash, agent, small()),
  },
  "HTTP/1.1, aborted": {
    lanes: 3,
    restMs: 50,
    cuts: true,
    make:
      ({ app }, agent) =>
      () =>
        abort1(app, agent),
  },
  "HTTP/2 to HTTP/1.1": {
    lanes: 4,
    restMs: 10,
    make({ app }, _, open) {
      const session = open.session(app);
      return () =>
        either(
          () => get2(session(), small()),
          () => post2(session(), between(1, 200 * KIB)),
        );
    },
  },
  "HTTP/2": {
    lanes: 4,
    restMs: 10,
    make({ grpc }, _, open) {
      const session = open.session(grpc);
      const most = 200 * KIB;
      return () =>
        either(
          () => get2(session(), between(0, most)),
          () => post2(session(), between(1, most)),
        );
    },
  },
  "HTTP/2, aborted": {
    lanes: 2,
    restMs: 50,
    cuts: true,
    make({ grpc }, _, open) {
      const session = open.session(grpc);
      return () => abort2(session());
    },
  },
  "HTTP/1.1 to HTTP/2": {
    lanes: 4,
    restMs: 10,
    make:
      ({ grpc }, agent) =>
      () =>
        post1(grpc, agent, { body: content(64 * KIB) }),
  },
  gRPC: {
    lanes: 4,
    restMs: 10,
    make({ grpc }, _, open) {
      const client = open.grpc(grpc);
      return () => grpcCall(client, Math.random() < 0.3);
    },
  },
  TCP: {
    lanes: 4,
    restMs: 20,
    make:
      ({ echo }) =>
      () =>
        flow(echo),
  },
  UDP: {
    lanes: 2,
    restMs: 20,
    make:
      ({ udp }) =>
      () =>
        datagrams(udp),
  },
};

/** Short enough to be counted: what differs from call to call is left out. */
const reasonOf = (error) =>
  (error.code !== undefined && typeof error.code === "string" ? error.code : error.message).slice(0, 100);

async function lane(kind, call, { restMs, cuts = false }, ledger, signal) {
  while (!signal.aborted) {
    try {
      await call();
      if (cuts) ledger.cut(kind);
      else ledger.served(kind);
    } catch (error) {
      ledger.failed(kind, reasonOf(error));
    }
    await delay(between(0, restMs));
  }
}

/** Calls until the signal; resolves once the last calls have ended and nothing is open. */
export async function runClients(entries, ledger, signal) {
  const byName = Object.fromEntries(entries);
  const open = new Connections();
  const lanes = Object.entries(KINDS).flatMap(([kind, setup]) =>
    Array.from({ length: setup.lanes }, () => {
      const call = setup.make(byName, open.agent(), open);
      return lane(kind, call, setup, ledger, signal);
    }),
  );
  await Promise.all(lanes);
  open.close();
}
