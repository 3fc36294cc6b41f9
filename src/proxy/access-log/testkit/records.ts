import type { ServicePort } from "../../../config/mesh-config.ts";
import type { ExchangeRecord } from "../../exchange/exchange-record.ts";
import type { FlowRecord } from "../../flow/flow-record.ts";
import type { Caller, EndpointState, ServicePortState } from "../../router/types.ts";
import type { CallRecord } from "../call-fields.ts";
import type { CommonLine } from "../common-line.ts";
import type { JsonLine } from "../json-line.ts";
import { LineBytes } from "../line-bytes.ts";

/** What a record of a call needs of these; the rest has no part in what is said of it. */
function servicePort(key: string, scheme: ServicePort["scheme"] = "http"): ServicePortState {
  return { key, config: { scheme } } as ServicePortState;
}

const WEB = servicePort("shop/web:80");
const CANARY = servicePort("shop/web-canary:80");
const DB = servicePort("shop/db:5432");

const CALLER: Caller = {
  address: "10.1.0.7",
  identity: "shop/client",
  workload: { namespace: "shop", pod: "client-1", serviceAccount: "client" },
};

function endpointOf(owner: ServicePortState, port: number): EndpointState {
  const place = { key: `10.1.0.9:${port}`, address: "10.1.0.9", dialPort: port };
  return { ...place, owner, config: { pod: "shop/web-1" } } as EndpointState;
}

/** A GET that a split sent to its canary. @param fields of the request's head */
export function exchangeRecord(
  changes: Partial<ExchangeRecord> = {},
  fields: Readonly<Record<string, string>> = {},
): ExchangeRecord {
  return {
    entry: WEB,
    caller: CALLER,
    protocol: "HTTP/1.1",
    method: "GET",
    target: "/cart?id=7",
    host: "web.shop.traefik.mesh",
    status: 200,
    grpcStatus: -1,
    failure: "",
    path: [WEB, CANARY],
    origin: { kind: "TrafficSplit", namespace: "shop", name: "canary" },
    endpoint: endpointOf(CANARY, 8080),
    attempts: 1,
    bytesUp: 0,
    bytesDown: 512,
    durationMs: 12.3456,
    firstByteMs: 11.5,
    wouldDeny: false,
    traceId: "",
    requestField: (name) => fields[name],
    ...changes,
  };
}

export function flowRecord(changes: Partial<FlowRecord> = {}): FlowRecord {
  return {
    transport: "tcp",
    entry: DB,
    caller: CALLER,
    path: [DB],
    origin: undefined,
    endpoint: endpointOf(DB, 5432),
    failure: "",
    bytesUp: 100,
    bytesDown: 2000,
    durationMs: 4000,
    wouldDeny: false,
    ...changes,
  };
}

/** 25 November 2026, when those records ended. */
const ENDED_AT = Date.UTC(2026, 10, 25, 20, 33, 7, 250);

export function lineOf(form: JsonLine | CommonLine, record: CallRecord, endedAtMs = ENDED_AT): string {
  const line = LineBytes.alone();
  form.write(record, endedAtMs, line);
  return line.takeText();
}
