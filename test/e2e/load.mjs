// A constant load from inside a Pod: half of the calls on kept connections, half on new ones, each looked up anew.
// Prints one JSON line a second, and answers SIGTERM with a last one.
import http from "node:http";

const { TARGET = "", RATE = "100" } = process.env;
const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
const totals = { sent: 0, ok: 0, failed: 0, slowestMs: 0, failures: [] };
let open = 0;

function call() {
  const kept = totals.sent++ % 2 === 0;
  const began = performance.now();
  open++;
  const done = (failure) => {
    open--;
    totals.slowestMs = Math.max(totals.slowestMs, Math.round(performance.now() - began));
    if (failure === "") totals.ok++;
    else {
      totals.failed++;
      const at = new Date().toISOString();
      if (totals.failures.length < 50) totals.failures.push(`${at} ${kept ? "kept" : "new"} ${failure}`);
    }
  };
  const request = http.get(TARGET, { agent: kept ? agent : false, timeout: 20_000 }, (response) => {
    let failure =
      response.statusCode === 200 ? "" : `${response.statusCode} ${response.headers["x-tulle-reason"] ?? ""}`;
    response.resume();
    response.on("aborted", () => {
      failure ||= "aborted";
    });
    response.on("close", () => done(failure));
  });
  request.on("timeout", () => request.destroy(new Error("no answer in 20 s")));
  request.on("error", (error) => done(error.code === undefined ? error.message : `${error.code} ${error.message}`));
}

// Calls are due by the clock: a pause of this process is made up for, not left out.
const began = performance.now();
let due = 0;
const timer = setInterval(() => {
  const now = ((performance.now() - began) / 1000) * Number(RATE);
  for (; due < now; due++) call();
}, 10);
const print = (end) => console.log(JSON.stringify({ ...totals, open, end }));
setInterval(() => print(false), 1000);
process.on("SIGTERM", () => {
  clearInterval(timer);
  const wait = setInterval(() => {
    if (open > 0) return;
    clearInterval(wait);
    print(true);
    process.exit(0);
  }, 20);
});
