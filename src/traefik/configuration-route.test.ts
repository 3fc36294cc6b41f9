import { expect, test } from "vitest";
import type { AdminRequest, Answer } from "../admin/admin-server.ts";
import { emptyMeshConfig } from "../config/mesh-config.ts";
import { configurationRoute, type PolledMesh } from "./configuration-route.ts";

test("before there is a configuration nobody is told of an empty one", () => {
  let mesh: PolledMesh | undefined;
  const route = configurationRoute(() => mesh)["/api/configuration/current"];
  const request: AdminRequest = { query: new URLSearchParams(), accept: "", ifNoneMatch: "" };
  const ask = () => route?.answer([], request) as Answer;
  expect(ask()).toMatchObject({ status: 503 });
  mesh = { config: emptyMeshConfig(), service: () => undefined, numbers: () => undefined, serial: 1 };
  const first = ask();
  expect(first).toMatchObject({ status: 200, type: "application/json; charset=utf-8" });
  expect(Object.keys(JSON.parse(first.body).http)).toEqual(["routers", "services", "middlewares"]);
  expect(ask()).toBe(first);
  mesh = { ...mesh, serial: 2 };
  expect(ask()).not.toBe(first);
});
