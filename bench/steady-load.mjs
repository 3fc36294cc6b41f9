/**
 * `node bench/steady-load.mjs ADDRESS PORT HOST REQUESTS-A-SECOND SECONDS`: sends requests when they are due, each on a
 * connection on which nothing is under way, and prints quantiles of the time to the whole answer, as a line of JSON.
 * What a slow answer delays is itself alone; a request that is sent late, because this process was not run, is measured
 * from then.
 */
import net from "node:net";
import { quantile } from "./report.mjs";

const [address, port, host, perSecond, seconds] = process.argv.slice(2);
const REQUEST = `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const CONNECTIONS_AT_FIRST = 32;
const WARM_UP = 500;

/** A connection with at most one request under way. */
class Caller {
  #socket;
  #sentAt = 0;
  #missing = 0;
  #done;

  constructor(done) {
    this.#done = done;
    this.#socket = net.connect(Number(port), address).setNoDelay(true);
    this.#socket.on("data", (bytes) => this.#read(bytes));
    this.#socket.on("error", () => {}); // a request without its answer is counted at the end
  }

  send() {
    this.#missing = 0;
    this.#sentAt = performance.now();
    this.#socket.write(REQUEST);
  }

  /** Answers have a Content-Length, and their head comes in one piece. */
  #read(bytes) {
    if (this.#missing === 0) {
      const head = bytes.latin1Slice(0, bytes.indexOf("\r\n\r\n") + 4);
      const length = /^HTTP\/1\.1 200 .*\r\ncontent-length: *(\d+)/is.exec(head)?.[1];
      if (length === undefined) return this.#socket.destroy();
      this.#missing = head.length + Number(length);
    }
    this.#missing -= bytes.length;
    if (this.#missing > 0) return;
    this.#done(this, (performance.now() - this.#sentAt) * 1000);
  }
}

const idle = [];
const took = [];
const done = (caller, micros) => {
  took.push(micros);
  idle.push(caller);
};
for (let made = 0; made < CONNECTIONS_AT_FIRST; made++) idle.unshift(new Caller(done));

const total = WARM_UP + Number(perSecond) * Number(seconds);
const startedAt = performance.now();
let sent = 0;
const timer = setInterval(() => {
  const due = Math.min(total, Math.floor(((performance.now() - startedAt) * Number(perSecond)) / 1000));
  for (; sent < due; sent++) (idle.pop() ?? new Caller(done)).send();
  if (sent < total) return;
  clearInterval(timer);
  setTimeout(() => {
    const sorted = Float64Array.from(took.slice(WARM_UP)).sort();
    const [p50, p99, p999] = [0.5, 0.99, 0.999].map((part) => quantile(sorted, part));
    console.log(JSON.stringify({ p50, p99, p999, errors: total - took.length }));
    process.exit(0);
  }, 500);
}, 1);
