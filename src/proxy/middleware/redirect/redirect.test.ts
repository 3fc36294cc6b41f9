import { describe, expect, test } from "vitest";
import { locationOf, type Redirect, type RedirectedRequest } from "./redirect.ts";

const REQUEST: RedirectedRequest = { scheme: "http", host: "a.example", port: 80, path: "/p", query: "" };

describe("locationOf", () => {
  const cases: [string, Omit<Redirect, "type" | "status">, Partial<RedirectedRequest>, string][] = [
    ["nothing named stays", {}, {}, "http://a.example/p"],
    ["the query is kept", {}, { query: "x=1&y" }, "http://a.example/p?x=1&y"],
    ["another host", { host: "b.example" }, {}, "http://b.example/p"],
    ["another scheme means its port, unsaid", { scheme: "https" }, {}, "https://a.example/p"],
    ["also from another port", { scheme: "https" }, { host: "a.example:8080", port: 8080 }, "https://a.example/p"],
    ["the same scheme, named, means its port too", { scheme: "http" }, { port: 8080 }, "http://a.example/p"],
    [
      "a scheme without a port of its own keeps that of the call",
      { scheme: "ws" },
      { port: 80 },
      "ws://a.example:80/p",
    ],
    ["no scheme keeps the port of the call", {}, { host: "a.example:8080", port: 8080 }, "http://a.example:8080/p"],
    ["the port of the call, whatever Host says", {}, { host: "a.example:9", port: 8080 }, "http://a.example:8080/p"],
    ["a port that is named", { port: 8443 }, {}, "http://a.example:8443/p"],
    ["443 is said on http", { port: 443 }, {}, "http://a.example:443/p"],
    ["443 is not said on https", { scheme: "https", port: 443 }, { port: 8080 }, "https://a.example/p"],
    ["80 is said on https", { scheme: "https", port: 80 }, {}, "https://a.example:80/p"],
    ["80 is not said on http", { port: 80 }, { port: 8080 }, "http://a.example/p"],
    ["an IPv6 host keeps its brackets", {}, { host: "[fd00::1]" }, "http://[fd00::1]/p"],
    ["and loses its port", { scheme: "https" }, { host: "[fd00::1]:80" }, "https://[fd00::1]/p"],
    ["a path is taken as it is", { host: "b" }, { path: "//evil.example" }, "http://b//evil.example"],
  ];
  test.each(cases)("%s", (_name, redirect, request, expected) => {
    expect(locationOf({ type: "redirect", status: 302, ...redirect }, { ...REQUEST, ...request })).toBe(expected);
  });
});
