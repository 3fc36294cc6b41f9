/** What a caller or an endpoint that means ill can do. Each holds for some seconds, closes all it opened, and says how far it came. */
import net from "node:net";
import { delay, openFilesLimit } from "./processes.mjs";
import { mebibytes, number } from "./report.mjs";

const HOLD_MS = 3000;
const POUR_MS = 5000;
/** A full accept queue drops the first packet of a connection, and the next is due after a second. */
const CONNECT_TIMEOUT_MS = 5000;
const MANY = 10_000;
/** Connections come from several addresses, or the ephemeral ports run out. */
const SOURCES = ["127.1.200.1", "127.1.200.2", "127.1.200.3", "127.1.200.4"];
/** Descriptors left to the programs besides their connections. */
const SPARE_FILES = 500;

/** As many connections as the limit of open files lets a process have, `each` of them for one of ours. */
function affordable(wanted, each = 1) {
  return Math.max(1, Math.min(wanted, Math.floor((openFilesLimit() - SPARE_FILES) / each)));
}

const scaled = (count, wanted) => (count < wanted ? ` (${number(wanted)} wanted; ulimit -n is too low)` : "");

/** Sockets to the proxy, and what became of them. */
class Callers {
  #entry;
  #sockets = [];
  /** Times that an answer started with this status. */
  statuses = new Map();
  open = 0;
  written = 0;

  constructor(entry) {
    this.#entry = entry;
  }

  /** Resolves with the socket once it is connected, or with undefined when it was refused. */
  connect({ reads = true } = {}) {
    const { address, port } = this.#entry;
    const localAddress = SOURCES[this.#sockets.length % SOURCES.length];
    const socket = net.connect({ host: address, port, localAddress });
    this.#sockets.push(socket);
    return new Promise((resolve) => {
      socket.once("connect", () => {
        this.open++;
        if (reads) this.#read(socket);
        socket.once("close", () => {
          this.open--;
        });
        resolve(socket);
      });
      socket.on("error", () => resolve(undefined));
      setTimeout(() => {
        if (socket.connecting) socket.destroy();
        resolve(undefined); // of no effect where it is connected
      }, CONNECT_TIMEOUT_MS).unref();
    });
  }

  /** Opens `count` of them, some hundred at a time, and hands each to `then`. */
  async connectMany(count, then) {
    const together = 200;
    for (let done = 0; done < count; done += together)
      await Promise.all(
        Array.from({ length: Math.min(together, count - done) }, async () => {
          const socket = await this.connect();
          if (socket !== undefined) then(socket);
        }),
      );
  }

  /** Writes `piece` again and again, as fast as it is taken, until the socket ends. */
  pour(socket, piece) {
    const more = () => {
      while (!socket.destroyed) {
        this.written += piece.length;
        if (!socket.write(piece)) return;
      }
    };
    socket.on("drain", more);
    more();
  }

  /** What the answers were, as `503 ×12, 200 ×9988`. */
  said() {
    const all = [...this.statuses].map(([status, count]) => `${status} ×${number(count)}`);
    return all.length === 0 ? "no answers" : all.join(", ");
  }

  async close() {
    const closed = this.#sockets.map((socket) =>
      socket.closed ? undefined : new Promise((resolve) => socket.once("close", resolve)),
    );
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }

  #read(socket) {
    socket.on("data", (bytes) => {
      const status = /^HTTP\/1\.1 (\d{3})/.exec(bytes.toString("latin1", 0, 12))?.[1];
      if (status !== undefined) this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    });
  }
}

/** An attack by callers: `act` gives the note's words; the sockets are closed after it. */
function byCallers(act) {
  return async (entry, farEnd) => {
    const callers = new Callers(entry);
    try {
      return await act(callers, farEnd);
    } finally {
      await callers.close();
    }
  };
}

const GET = "GET / HTTP/1.1\r\nHost: app.bench.traefik.mesh\r\n\r\n";
const head = (method, path, ...fields) =>
  [`${method} ${path} HTTP/1.1`, "Host: app.bench.traefik.mesh", ...fields, "", ""].join("\r\n");
const CHUNKED = "Transfer-Encoding: chunked";
const ONE_GIBIBYTE = 1024 ** 3;
const PIECE = Buffer.alloc(64 * 1024, "x");
const lines = (text) => Buffer.from(text.repeat(Math.ceil(16_384 / text.length)), "latin1");

/** `count` callers that send `first` and then pour `piece` without end. */
function pouring(count, first, piece) {
  return byCallers(async (callers) => {
    await callers.connectMany(count, (socket) => {
      socket.write(first);
      callers.pour(socket, piece);
    });
    await delay(POUR_MS);
    return `${count} connections, ${mebibytes(callers.written)} MiB written; ${callers.said()}`;
  });
}

/** `count` callers ask for `path`, whose endpoint misbehaves, and read (or do not) what comes. */
function asking(count, path, { reads }) {
  return byCallers(async (callers, farEnd) => {
    const before = farEnd.counts.sent;
    await Promise.all(
      Array.from({ length: count }, async () => {
        const socket = await callers.connect({ reads });
        if (!reads) socket?.pause();
        socket?.write(head("GET", path));
      }),
    );
    await delay(POUR_MS);
    return `${count} connections, endpoints gave ${mebibytes(farEnd.counts.sent - before)} MiB${reads ? `; ${callers.said()}` : ""}`;
  });
}

export const ATTACKS = [
  {
    name: "connection flood",
    run: byCallers(async (callers) => {
      const count = affordable(MANY, 2); // the proxy may have one to an endpoint for each
      await callers.connectMany(count, (socket) => socket.write(GET));
      await delay(HOLD_MS);
      return `${number(callers.open)} of ${number(count)} held${scaled(count, MANY)}; ${callers.said()}`;
    }),
  },
  {
    name: "half-sent heads",
    run: byCallers(async (callers) => {
      const count = affordable(MANY);
      const half = `GET / HTTP/1.1\r\nHost: app.bench.traefik.mesh\r\nX-Half: ${"x".repeat(960)}`;
      await callers.connectMany(count, (socket) => socket.write(half));
      await delay(HOLD_MS);
      return `${number(callers.open)} of ${number(count)} held${scaled(count, MANY)}; ${callers.said()}`;
    }),
  },
  { name: "oversize heads", run: pouring(1000, GET.slice(0, -2), lines(`X-Much: ${"x".repeat(1000)}\r\n`)) },
  { name: "one field without end", run: pouring(1000, `${GET.slice(0, -2)}X-Much: `, lines("x")) },
  {
    name: "1 GiB up, nobody reads",
    run: pouring(16, head("POST", "/deaf", `Content-Length: ${ONE_GIBIBYTE / 16}`), PIECE),
  },
  {
    name: "huge Content-Length",
    run: byCallers(async (callers) => {
      const count = affordable(1000, 2);
      await callers.connectMany(count, (socket) => {
        socket.write(head("POST", "/deaf", "Content-Length: 1099511627776"));
        socket.write(PIECE);
      });
      await delay(HOLD_MS);
      return `${number(callers.open)} of ${number(count)} held; ${callers.said()}`;
    }),
  },
  { name: "readers stall on 1 GiB", run: asking(16, "/gibibyte", { reads: false }) },
  { name: "tiny chunks up", run: pouring(16, head("POST", "/drop", CHUNKED), lines("1\r\nx\r\n")) },
  {
    name: "trailers without end up",
    run: pouring(256, `${head("POST", "/drop", CHUNKED)}0\r\n`, lines(`X-Trailer: ${"x".repeat(100)}\r\n`)),
  },
  {
    name: "chunk line without end",
    run: pouring(256, `${head("POST", "/drop", CHUNKED)}1;`, lines("x")),
  },
  { name: "pipelined, answers unread", run: unreadPipeline() },
  { name: "tiny chunks down", run: asking(16, "/tiny-chunks", { reads: true }) },
  { name: "trailers without end down", run: asking(64, "/trailers", { reads: true }) },
  { name: "answer's head without end", run: asking(64, "/head", { reads: true }) },
  { name: "1xx answers without end", run: asking(16, "/hints", { reads: true }) },
  { name: "1xx answers, unread", run: asking(64, "/hints", { reads: false }) },
];

function unreadPipeline() {
  return byCallers(async (callers) => {
    const count = 64;
    await Promise.all(
      Array.from({ length: count }, async () => {
        const socket = await callers.connect({ reads: false });
        socket?.pause();
        if (socket !== undefined) callers.pour(socket, lines(GET));
      }),
    );
    await delay(POUR_MS);
    return `${count} connections, ${mebibytes(callers.written)} MiB written`;
  });
}
