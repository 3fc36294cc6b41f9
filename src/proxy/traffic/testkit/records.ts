/** Records as the engines tell them, of a route table's own service ports and callers. */
import { emptyMeshConfig, type ServicePort, type Workload } from "../../../config/mesh-config.ts";
import { silentLog } from "../../../telemetry/log.ts";
import type { ExchangeRecord } from "../../exchange/exchange-record.ts";
import type { FlowRecord } from "../../flow/flow-record.ts";
import { MeshRouteTable } from "../../router/route-table.ts";
import { HandClock, servicePort } from "../../router/testkit/mesh-configs.ts";
import type { Caller, EndpointState, ServicePortState } from "../../router/types.ts";

/** Service ports `n/<name>:80` with one endpoint each, and callers by address. */
export function tableOf(names: readonly string[], workloads: Readonly<Record<string, Workload>> = {}): MeshRouteTable {
  const table = new MeshRouteTable({ clock: new HandClock(), random: Math.random, log: silentLog });
  const servicePorts: Record<string, ServicePort> = {};
  for (const service of names) servicePorts[`n/${service}:80`] = servicePort({ "10.0.0.1:80": undefined }, { service });
  table.apply({ ...emptyMeshConfig(), servicePorts, workloads: { ...workloads } });
  return table;
}

export function entryOf(table: MeshRouteTable, name: string): ServicePortState {
  return table.servicePort(`n/${name}:80`) as ServicePortState;
}

export function exchangeRecord(
  entry: ServicePortState,
  caller: Caller,
  rest: Partial<ExchangeRecord> = {},
): ExchangeRecord {
  return {
    entry,
    caller,
    protocol: "HTTP/1.1",
    method: "GET",
    target: "/",
    host: "",
    status: 200,
    grpcStatus: -1,
    failure: "",
    path: [entry],
    origin: undefined,
    endpoint: entry.endpoints[0] as EndpointState,
    attempts: 1,
    bytesUp: 0,
    bytesDown: 0,
    durationMs: 1,
    firstByteMs: 1,
    wouldDeny: false,
    traceId: "",
    requestField: () => undefined,
    ...rest,
  };
}

export function flowRecord(entry: ServicePortState, caller: Caller, rest: Partial<FlowRecord> = {}): FlowRecord {
  return {
    transport: "tcp",
    entry,
    caller,
    path: [entry],
    origin: undefined,
    endpoint: entry.endpoints[0] as EndpointState,
    failure: "",
    bytesUp: 0,
    bytesDown: 0,
    durationMs: 1,
    wouldDeny: false,
    ...rest,
  };
}
