/** Commands that look at a `tulle local`, where another program has the port of its admin API. */
import { once } from "node:events";
import http from "node:http";
import type net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { runTulle } from "./tulle-process.ts";

const PAGE = "<!doctype html>\n<html>\n<p>Not yours</p>\n</html>\n";

test.each([
  [["top", "--once", "--interval", "10ms"]],
  [["graph", "--window", "0"]],
  [["status"]],
  [["tap", "whoami/whoami", "--from", "whoami/whoami-client"]],
  [["explain", "--from", "whoami/whoami-client", "--to", "whoami"]],
])("%j says so in one line", async (command) => {
  const server = http.createServer((request, response) => {
    const status = request.url?.includes("service-ports") === true ? 404 : 200;
    response.writeHead(status, { "Content-Type": "text/html; charset=utf-8" }).end(PAGE);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
  });
  const { port } = server.address() as net.AddressInfo;
  const { code, out, err } = await runTulle([...command, "--local", "--admin", `127.0.0.1:${port}`]);
  expect([code, out]).toEqual([1, ""]);
  expect(err).toMatch(
    /^tulle: no tulle local can be looked at \(--admin\): \S+: something else answers there \(text\/html\); `tulle local` starts one\n$/,
  );
});
