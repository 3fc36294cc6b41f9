// In a Pod: changes a Service again and again; for each change, the time from the API server's event of it to the moment
// at which every proxy says that it has it in force.
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";

const { PROXIES = "", CHANGES = "200", NAMESPACE = "", SERVICE = "" } = process.env;
const account = "/var/run/secrets/kubernetes.io/serviceaccount";
const api = {
  host: process.env.KUBERNETES_SERVICE_HOST,
  port: process.env.KUBERNETES_SERVICE_PORT,
  ca: readFileSync(`${account}/ca.crt`),
  headers: { authorization: `Bearer ${readFileSync(`${account}/token`, "utf8")}` },
};
const path = `/api/v1/namespaces/${NAMESPACE}/services`;
const agent = new http.Agent({ keepAlive: true });
const seen = new Map();

function request(module, options, body) {
  return new Promise((resolve, reject) => {
    const call = module.request(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => {
        text += piece;
      });
      response.on("end", () => resolve(text));
    });
    call.on("error", reject);
    call.end(body);
  });
}

// The watch that says when the API server sent the event: the same that the controller gets.
const watch = https.get({ ...api, path: `${path}?watch=1&fieldSelector=metadata.name%3D${SERVICE}` }, (response) => {
  let text = "";
  response.setEncoding("utf8");
  response.on("data", (piece) => {
    text += piece;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      const { object } = JSON.parse(text.slice(0, end));
      text = text.slice(end + 1);
      const attempts = object.metadata.annotations?.["mesh.traefik.io/retry-attempts"];
      if (attempts !== undefined && !seen.has(attempts)) seen.set(attempts, performance.now());
    }
  });
});

const versionAt = async (host) =>
  JSON.parse(await request(http, { host, port: 8080, path: "/api/status", agent })).version;

/** Nothing else changes meanwhile: another version is the one with the change. */
async function replaced(host, before) {
  for (;;) {
    if ((await versionAt(host)) !== before) return performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

await new Promise((resolve) => setTimeout(resolve, 1000));
const lags = [];
for (let change = 0; change < Number(CHANGES); change++) {
  const attempts = 1000 + change;
  const body = JSON.stringify({ metadata: { annotations: { "mesh.traefik.io/retry-attempts": String(attempts) } } });
  const headers = { ...api.headers, "content-type": "application/merge-patch+json" };
  const proxies = await Promise.all(PROXIES.split(",").map(async (host) => ({ host, before: await versionAt(host) })));
  const patched = request(https, { ...api, method: "PATCH", path: `${path}/${SERVICE}`, headers }, body);
  const times = await Promise.all(proxies.map(({ host, before }) => replaced(host, before)));
  await patched;
  while (!seen.has(String(attempts))) await new Promise((resolve) => setTimeout(resolve, 1));
  lags.push(Math.max(0, Math.max(...times) - seen.get(String(attempts))));
  await new Promise((resolve) => setTimeout(resolve, 50));
}
watch.destroy();
agent.destroy();
console.log(JSON.stringify({ lags }));
