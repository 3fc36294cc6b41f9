import { readdirSync, readFileSync } from "node:fs";
import http from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AdminServer, json, versionedJson } from "../admin/admin-server.ts";
import { dashboardRoutes } from "./dashboard-routes.ts";

const FOLDER = new URL("../../dashboard/", import.meta.url);

let server: AdminServer;
let port: number;
beforeAll(async () => {
  server = new AdminServer({
    ...dashboardRoutes(),
    "/api/x": { says: "x", answer: () => json({}) },
    "/api/v": { says: "v", answer: (_, { ifNoneMatch }) => versionedJson("7", ifNoneMatch, () => ({ big: true })) },
  });
  port = (await server.listen("127.0.0.1", 0)).port;
});
afterAll(() => server.close());

/** Of a client that does not tidy paths up. */
function get(path: string, headers: http.OutgoingHttpHeaders = {}) {
  return new Promise<{ status: number; headers: http.IncomingHttpHeaders; body: string }>((resolve, reject) => {
    http
      .get({ host: "127.0.0.1", port, path, headers, agent: false }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (piece: string) => {
          body += piece;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      })
      .on("error", reject);
  });
}

describe("the dashboard's files", () => {
  test("a browser gets the page, everybody else the list of what there is", async () => {
    const page = await get("/", { accept: "text/html,application/xhtml+xml" });
    expect([page.headers["content-type"], page.body.slice(0, 15)]).toEqual([
      "text/html; charset=utf-8",
      "<!doctype html>",
    ]);
    for (const headers of [{}, { accept: "*/*" }]) expect((await get("/", headers)).body).toMatch(/^\/api\/x +x$/m);
  });

  test("come with a policy that lets nothing in from elsewhere", async () => {
    const names = readdirSync(FOLDER).filter((name) => !name.endsWith(".json"));
    expect(names.length).toBeGreaterThan(15);
    for (const name of names) {
      const { status, headers } = await get(`/assets/${name}`);
      expect(status, name).toBe(200);
      expect(headers["content-security-policy"], name).toMatch(/^default-src 'self';/);
      expect(headers["x-content-type-options"], name).toBe("nosniff");
    }
  });

  test("name no other host, and hold no markup that is made from text", () => {
    for (const name of readdirSync(FOLDER).filter((each) => /\.(js|css|html)$/.test(each))) {
      const text = readFileSync(new URL(name, FOLDER), "utf8").replaceAll("http://www.w3.org/2000/svg", "");
      expect(text, name).not.toMatch(/\bhttps?:\/\/|["'(]\/\/\w/);
      expect(text, name).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|DOMParser/);
    }
  });

  test.each(["/assets/tsconfig.json", "/assets/../package.json", "/assets/%2e%2e%2fpackage.json", "/assets/x/main.js"])(
    "%s is nothing",
    async (path) => {
      expect((await get(path)).status).toBe(404);
    },
  );
});

test("what the asker has already is not sent again", async () => {
  const first = await get("/api/v");
  expect([first.status, first.headers.etag]).toEqual([200, '"7"']);
  const again = await get("/api/v", { "if-none-match": '"7"' });
  expect([again.status, again.body]).toEqual([304, ""]);
  expect((await get("/api/v", { "if-none-match": '"6"' })).status).toBe(200);
});
