/** wrk and h2load, and what they say. */
import { fileURLToPath } from "node:url";
import { LOAD_CORE } from "./columns.mjs";
import { findProgram } from "./processes.mjs";

const UPLOAD_LUA = `wrk.method = "POST"
wrk.body = string.rep("x", 65536)
wrk.headers["Content-Type"] = "application/octet-stream"
`;

/** Loads of HTTP/1.1, by name: arguments of wrk before the address, and the path. */
export const WRK_LOADS = {
  small: { path: "/", args: () => [] },
  answers: { path: "/64k", args: () => [] },
  uploads: { path: "/", args: (workbench) => ["-s", workbench.file("upload.lua", UPLOAD_LUA)] },
  /** A connection for each request. */
  connections: { path: "/", args: () => ["-H", "Connection: close"] },
};

export function parseWrk(text) {
  const [, requests, took, unit] = /(\d+) requests in ([\d.]+)(s|m)/.exec(text) ?? [];
  if (requests === undefined) throw new Error(`wrk said: ${text}`);
  const socketErrors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text);
  const badStatus = /Non-2xx or 3xx responses: (\d+)/.exec(text);
  const errors = [...(socketErrors?.slice(1) ?? []), badStatus?.[1] ?? 0].reduce((sum, n) => sum + Number(n), 0);
  const seconds = Number(took) * (unit === "m" ? 60 : 1);
  return { requests: Number(requests), perSecond: Number(requests) / seconds, errors };
}

/** One run of wrk: requests answered, how many a second, and how many went wrong. */
export async function wrk(workbench, proxy, { load = WRK_LOADS.small, seconds, connections }) {
  const { address, port, host } = proxy;
  const fixed = ["-t1", `-c${connections}`, `-d${seconds}s`, "-H", `Host: ${host}`];
  const url = `http://${address}:${port}${load.path}`;
  const args = [...fixed, ...load.args(workbench), url];
  return parseWrk(await workbench.start(LOAD_CORE, findProgram("wrk"), args).output);
}

export function parseH2load(text) {
  const [, seconds, perSecond] = /finished in ([\d.]+)(?:s|ms|us), ([\d.]+) req\/s/.exec(text) ?? [];
  const [, succeeded, failed, errored] = /(\d+) succeeded, (\d+) failed, (\d+) errored/.exec(text) ?? [];
  if (seconds === undefined || succeeded === undefined) throw new Error(`h2load said: ${text}`);
  return { requests: Number(succeeded), perSecond: Number(perSecond), errors: Number(failed) + Number(errored) };
}

/** One run of h2load over HTTP/2: 8 connections, 16 streams each. */
export async function h2load(workbench, { address, port }, seconds) {
  const args = ["-c8", "-m16", `-D${seconds}`, `http://${address}:${port}/`];
  return parseH2load(await workbench.start(LOAD_CORE, findProgram("h2load"), args).output);
}

/** One run of h2load over HTTP/1.1, so many requests a second over all of its connections. */
export async function h1AtRate(workbench, { address, port, host }, { seconds, perSecond, connections }) {
  const rate = [`-c${connections}`, "-t1", `--rps=${perSecond / connections}`, `-D${seconds}`];
  const args = ["--h1", ...rate, "-H", `:authority: ${host}`, `http://${address}:${port}/`];
  return parseH2load(await workbench.start(LOAD_CORE, findProgram("h2load"), args).output);
}

const STEADY = fileURLToPath(new URL("steady-load.mjs", import.meta.url));

/**
 * HTTP/1.1 at a fixed rate, each request on a connection that waits for nothing else, so that a slow answer delays no
 * other.
 * @returns microseconds at the quantiles `p50`, `p99`, `p999`, and how many `errors` there were
 */
export async function steady(workbench, { address, port, host }, { seconds, perSecond }) {
  const args = [STEADY, address, String(port), host, String(perSecond), String(seconds)];
  return JSON.parse(await workbench.start(LOAD_CORE, process.execPath, args).line);
}
