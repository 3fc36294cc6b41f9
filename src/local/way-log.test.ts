import { expect, test } from "vitest";
import type { ExchangeRecord } from "../proxy/exchange/exchange-record.ts";
import { WayLog } from "./way-log.ts";

const record = (address: string, path: readonly string[], endpoint = "", failure = "") =>
  ({
    caller: { address },
    path: path.map((key) => ({ key })),
    endpoint: endpoint === "" ? undefined : { key: endpoint },
    failure,
  }) as unknown as ExchangeRecord;

test("the way of a caller's last call is told once", () => {
  const log = new WayLog();
  log.note(record("a", ["s:80", "v1:80"], "10.0.0.1:80"));
  log.note(record("b", ["t:80"], "", "NoEndpoint"));
  log.note(record("a", ["s:80"], "10.0.0.2:80"));
  expect(log.take("a")).toBe("s:80 → 10.0.0.2:80");
  expect(log.take("a")).toBe("");
  expect(log.take("b")).toBe("t:80 → NoEndpoint");
  log.note(record("b", [], "10.0.0.3:80", "UpstreamReset"));
  expect(log.take("b")).toBe("10.0.0.3:80");
});

test("a record that is used again tells the call that it was noted for", () => {
  const log = new WayLog();
  const path = [{ key: "s:80" }];
  log.note({ ...record("a", [], "e:1"), path } as unknown as ExchangeRecord);
  path[0] = { key: "other:80" };
  expect(log.take("a")).toBe("s:80 → e:1");
});

test("the callers that came first are forgotten when there are too many", () => {
  const log = new WayLog();
  for (let caller = 0; caller <= 1000; caller++) log.note(record(`c${caller}`, ["s:80"], "e:1"));
  expect(log.take("c0")).toBe("");
  expect(log.take("c1")).toBe("s:80 → e:1");
  expect(log.take("c1000")).toBe("s:80 → e:1");
});
