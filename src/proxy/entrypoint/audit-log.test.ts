import { beforeEach, expect, test } from "vitest";
import { ManualClock } from "../../model/testkit/manual-clock.ts";
import { silentLog } from "../../telemetry/log.ts";
import type { ExchangeRecord } from "../exchange/exchange-record.ts";
import { AuditLog } from "./audit-log.ts";

let clock: ManualClock;
let lines: string[];
let audit: AuditLog;

beforeEach(() => {
  clock = new ManualClock();
  lines = [];
  audit = new AuditLog({ ...silentLog, info: (line) => lines.push(line) }, clock);
});

function call(address: string, servicePort: string, wouldDeny = true): void {
  audit.note({
    caller: { address, workload: undefined, identity: undefined },
    entry: { key: servicePort },
    method: "GET",
    target: "/a",
    wouldDeny,
  } as unknown as ExchangeRecord);
}

test("says who would be denied what", () => {
  call("10.0.0.1", "shop/web:80");
  expect(lines).toEqual(["audit: with access control on, 10.0.0.1 would be denied shop/web:80 GET /a"]);
});

test("says nothing of what would be let through", () => {
  call("10.0.0.1", "shop/web:80", false);
  expect(lines).toEqual([]);
});

test("says each caller and service port once in ten minutes, and anew when rules have changed", () => {
  call("10.0.0.1", "shop/web:80");
  call("10.0.0.1", "shop/web:80");
  call("10.0.0.1", "shop/api:80");
  call("10.0.0.2", "shop/web:80");
  expect(lines).toHaveLength(3);
  clock.advance(10 * 60_000);
  call("10.0.0.1", "shop/web:80");
  expect(lines).toHaveLength(4);
  audit.clear();
  call("10.0.0.1", "shop/web:80");
  expect(lines).toHaveLength(5);
});

test("keeps to a bound, and goes on when what it said is old", () => {
  for (let caller = 0; caller < 1_500; caller++) call(`10.0.${caller >> 8}.${caller & 255}`, "shop/web:80");
  expect(lines).toHaveLength(1_000);
  clock.advance(10 * 60_000);
  call("10.9.9.9", "shop/web:80");
  expect(lines).toHaveLength(1_001);
});
