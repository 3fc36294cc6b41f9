/** Questions over a config stream: of a controller to its proxies, and of another controller to this one. */
import { expect, test } from "vitest";
import { CERTIFICATE } from "../model/testkit/certificate.ts";
import type { Answerer } from "./ask-channel.ts";
import { askPeer } from "./ask-peer.ts";
import { FIRST, follow, followed, proxyByHand, SERVER_NAME, serve } from "./testkit/stream-peers.ts";

/** Says the path that it is asked for. */
const echo: Answerer = (path, output) => {
  output.write(`asked for ${path}`);
  output.end(200);
  return () => {};
};

/** What came, and the status that ended it. */
function answer(ask: (reader: { onText(text: string): void; onEnd(status: number): void }) => unknown) {
  let text = "";
  return new Promise<{ text: string; status: number }>((resolve) =>
    ask({
      onText: (piece) => {
        text += piece;
      },
      onEnd: (status) => resolve({ text, status }),
    }),
  );
}

test("a proxy that answers can be asked, also while a configuration is not in force yet", async () => {
  const { server, port } = await serve();
  const proxy = follow(port, { answerer: echo });
  const go = proxy.hold();
  const connected = proxy.connected(true);
  server.publish(FIRST);
  await connected;
  const [askable] = server.askable();
  expect(askable?.pod).toBe("p1");
  const said = await answer((reader) => askable?.ask("/api/traffic", reader));
  expect(said).toEqual({ text: "asked for /api/traffic", status: 200 });
  expect(proxy.applied).toEqual([]);
  go();
});

test("who follows the proxies hears of those that are here and of those that come", async () => {
  const { server, port, next } = await serve();
  server.publish(FIRST);
  const first = next(({ pod }) => pod === "p1");
  follow(port, { answerer: echo });
  await first;
  const met: string[] = [];
  const leave = server.follow(({ pod }) => met.push(pod));
  const second = next(({ pod }) => pod === "p2");
  follow(port, { answerer: echo, token: "token-of-p2" });
  await second;
  leave();
  const third = next(({ pod }) => pod === "p3");
  follow(port, { answerer: echo, token: "token-of-p3" });
  await third;
  expect(met).toEqual(["p1", "p2"]);
});

test("a question ends without an answer when its proxy goes", async () => {
  const { server, proxy } = await followed({ answerer: () => () => {} });
  const said = answer((reader) => server.askable()[0]?.ask("/api/tap", reader));
  await proxy.stop();
  expect(await said).toEqual({ text: "", status: 0 });
});

test("another controller asks and gets no configuration; a proxy may not ask", async () => {
  const { server, port, clock } = await serve({ answerer: echo });
  server.publish(FIRST);
  const place = { host: "127.0.0.1", port, serverName: SERVER_NAME, ca: CERTIFICATE };
  const ask = (token: string) => answer((reader) => askPeer({ ...place, token }, clock, "/api/traffic", reader));
  expect(await ask("token-of-controller")).toEqual({ text: "asked for /api/traffic", status: 200 });
  expect(await ask("token-of-p1")).toEqual({ text: "", status: 404 });
  expect(await ask("no token")).toEqual({ text: "", status: 0 });
  expect(server.status()).toEqual([]);
});

test("a question that comes while its asker's token is looked at is answered after that", async () => {
  const { port } = await serve({ answerer: echo });
  const hello = JSON.stringify({ type: "hello", token: "token-of-controller" });
  const ask = JSON.stringify({ type: "ask", id: 1, path: "/api/traffic" });
  const peer = proxyByHand(port);
  // In one piece, so that both are there before anybody can have looked at the token.
  peer.socket.write(`${hello}\n${ask}\n`);
  expect(await peer.next()).toEqual({ type: "answer", id: 1, text: "asked for /api/traffic" });
  const early = proxyByHand(port);
  early.socket.write(`${ask}\n`);
  expect(await early.next()).toMatchObject({ type: "refused", reason: "the first message must be a hello" });
});
