/** Decisions of a table, asked for in one line. */
import type { MeshConfig } from "../../../config/mesh-config.ts";
import { silentLog } from "../../../telemetry/log.ts";
import { MeshRouteTable, newDecision } from "../route-table.ts";
import type { Decision, RequestView, ServicePortState } from "../types.ts";
import { HandClock, request } from "./mesh-configs.ts";

export const ROOT = "n/root:80";
export const V1 = "n/v1:80";
export const V2 = "n/v2:80";
export const CLIENT = "127.1.0.1";
export const OTHER = "127.1.0.2";
/** Nobody's address. */
export const STRANGER = "127.9.9.9";
export const CALLERS = { [CLIENT]: "n/client", [OTHER]: "n/other" };

export function newTable(): MeshRouteTable {
  return new MeshRouteTable({ clock: new HandClock(), random: () => 0.5, log: silentLog });
}

export function tableOf(config: MeshConfig): MeshRouteTable {
  const table = newTable();
  table.apply(config);
  return table;
}

export function stateOf(table: MeshRouteTable, key = ROOT): ServicePortState {
  const found = table.servicePort(key);
  if (found === undefined) throw new Error(`no ${key}`);
  return found;
}

export function http(table: MeshRouteTable, from: string, view: RequestView = request("/"), key = ROOT): Decision {
  const decision = newDecision();
  table.routeHttp(stateOf(table, key), table.caller(from), view, decision);
  return decision;
}

export function flow(table: MeshRouteTable, from: string, key = ROOT): Decision {
  const decision = newDecision();
  table.routeFlow(stateOf(table, key), table.caller(from), decision);
  return decision;
}

export const endpointKeys = ({ endpoints }: Decision) => endpoints.map(({ key }) => key);
export const pathKeys = ({ path }: Decision) => path.map(({ key }) => key);
