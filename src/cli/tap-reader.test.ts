import { once } from "node:events";
import http from "node:http";
import type net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { readTap } from "./tap-reader.ts";

const LINES = "application/x-ndjson";

/** @returns the lines that were read of what is answered so */
async function linesOf(answer: http.RequestListener, type?: string): Promise<string[]> {
  const server = http
    .createServer((request, response) => {
      if (type !== undefined) response.setHeader("Content-Type", type);
      answer(request, response);
    })
    .listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
  });
  const { port } = server.address() as net.AddressInfo;
  const lines: string[] = [];
  const signal = new AbortController().signal;
  await readTap({ host: "127.0.0.1", port }, new URLSearchParams(), signal, (line) => lines.push(line));
  return lines;
}

test("a tap is over when the far end ends it, and when that goes away", async () => {
  expect(await linesOf((_, response) => response.end("one\ntwo\n"), LINES)).toEqual(["one", "two"]);
  expect(await linesOf((_, response) => response.write("one\n", () => response.destroy()), LINES)).toEqual(["one"]);
});

test("a tap that never began says why", async () => {
  await expect(linesOf((request) => request.destroy())).rejects.toThrow("socket hang up");
  await expect(linesOf((_, response) => response.writeHead(400).end("no filter\n"))).rejects.toThrow("400 no filter");
});

test.each([200, 404])(
  "what is no tap, as of another program with the port, is said in one line: %i",
  async (status) => {
    const page = "<!doctype html>\n<p>Not yours</p>\n";
    const asked = linesOf((_, response) => response.writeHead(status).end(page), "text/html; charset=utf-8");
    await expect(asked).rejects.toThrow(/^something else answers there \(text\/html\)$/);
  },
);
