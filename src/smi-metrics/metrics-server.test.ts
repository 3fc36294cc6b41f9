import https from "node:https";
import { afterEach, expect, test } from "vitest";
import { CERTIFICATE, KEY } from "../model/testkit/certificate.ts";
import { silentLog } from "../telemetry/log.ts";
import { MetricsServer } from "./metrics-server.ts";
import {
  CONTROLLER_CERTIFICATE,
  CONTROLLER_KEY,
  FRONT_PROXY_CA,
  FRONT_PROXY_CERTIFICATE,
  FRONT_PROXY_KEY,
} from "./testkit/front-proxy-certificates.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const FRONT_PROXY = { cert: FRONT_PROXY_CERTIFICATE, key: FRONT_PROXY_KEY };
/** Signed by another authority. */
const STRANGER = { cert: CERTIFICATE, key: KEY };

async function serve() {
  const asked: string[] = [];
  const api = {
    answer: async (method: string, url: string) => {
      asked.push(`${method} ${url}`);
      return { status: 200, body: { url } };
    },
  };
  const server = new MetricsServer({ cert: CERTIFICATE, key: KEY, api, log: silentLog });
  const port = await server.listen("127.0.0.1", 0);
  closing.push(() => server.close());
  return { server, port, asked };
}

interface Heard {
  readonly status: number | undefined;
  readonly message: string | undefined;
  readonly text: string;
}

function ask(
  port: number,
  client: { readonly cert?: string; readonly key?: string; readonly ca?: string },
  agent: https.Agent | false = false,
): Promise<Heard> {
  const options = { host: "127.0.0.1", port, path: "/apis?x=1", ca: CERTIFICATE, agent, ...client };
  return new Promise((resolve, reject) => {
    const request = https.get(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        text += piece;
      });
      response.on("end", () => {
        const { message } = JSON.parse(text) as { message?: string };
        resolve({ status: response.statusCode, message, text });
      });
    });
    request.on("error", reject);
  });
}

test("who shows the front proxy's certificate is answered", async () => {
  const { server, port, asked } = await serve();
  server.setTrust({ ca: FRONT_PROXY_CA, names: ["front-proxy-client"] });
  expect(await ask(port, FRONT_PROXY)).toMatchObject({ status: 200, text: '{"url":"/apis?x=1"}' });
  expect(asked).toEqual(["GET /apis?x=1"]);
});

test("an authority without names vouches for whoever it signed", async () => {
  const { server, port } = await serve();
  server.setTrust({ ca: FRONT_PROXY_CA, names: [] });
  expect(await ask(port, FRONT_PROXY)).toMatchObject({ status: 200 });
});

test("who shows no certificate, another authority's, or another name's is refused and told why", async () => {
  const { server, port, asked } = await serve();
  server.setTrust({ ca: FRONT_PROXY_CA, names: ["front-proxy-client"] });
  const needed = "a client certificate of the API server's front proxy is needed";
  expect(await ask(port, {})).toMatchObject({ status: 401, message: needed });
  expect(await ask(port, STRANGER)).toMatchObject({ status: 401, message: needed });
  server.setTrust({ ca: FRONT_PROXY_CA, names: ["another"] });
  expect(await ask(port, FRONT_PROXY)).toMatchObject({
    status: 401,
    message: "the client certificate is not one of the front proxy's names",
  });
  expect(asked).toEqual([]);
});

test("until the cluster has said whom to trust nobody is answered, and when it says that no more", async () => {
  const { server, port } = await serve();
  const unsaid = { status: 401, message: "the cluster has not said whose requests to trust" };
  expect(await ask(port, FRONT_PROXY)).toMatchObject(unsaid);
  server.setTrust({ ca: FRONT_PROXY_CA, names: [] });
  expect(await ask(port, FRONT_PROXY)).toMatchObject({ status: 200 });
  server.setTrust(undefined);
  expect(await ask(port, FRONT_PROXY)).toMatchObject(unsaid);
});

test("an authority that is no certificate takes the trust from the one before", async () => {
  const { server, port } = await serve();
  server.setTrust({ ca: FRONT_PROXY_CA, names: [] });
  expect(() => server.setTrust({ ca: "junk", names: [] })).toThrow();
  expect(await ask(port, FRONT_PROXY)).toMatchObject({
    status: 401,
    message: "the cluster has not said whose requests to trust",
  });
});

test("a certificate that is renewed is shown to who connects from then on, and the trust stays", async () => {
  const { server, port } = await serve();
  server.setTrust({ ca: FRONT_PROXY_CA, names: [] });
  server.setCertificate(CONTROLLER_CERTIFICATE, CONTROLLER_KEY);
  await expect(ask(port, FRONT_PROXY)).rejects.toThrow(/self.signed certificate/);
  expect(await ask(port, { ...FRONT_PROXY, ca: CONTROLLER_CERTIFICATE })).toMatchObject({ status: 200 });
});

test("a connection of before, and a TLS session that is taken up again, are judged by the newest authority", async () => {
  const { server, port } = await serve();
  server.setTrust({ ca: FRONT_PROXY_CA, names: [] });
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  closing.push(() => agent.destroy());
  expect(await ask(port, FRONT_PROXY, agent)).toMatchObject({ status: 200 });
  server.setTrust({ ca: CERTIFICATE, names: [] });
  // The connection that is kept may be seen to end only when it is used.
  const again = await ask(port, FRONT_PROXY, agent).catch(() => ask(port, FRONT_PROXY, agent));
  expect(again).toMatchObject({ status: 401 });
  expect(await ask(port, STRANGER)).toMatchObject({ status: 200 });
});
