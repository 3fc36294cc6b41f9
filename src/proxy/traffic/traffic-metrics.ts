/** What a proxy tells Prometheus of its calls: docs/metrics.md has it as a table. */
import {
  type Exemplar as ExpositionExemplar,
  type HistogramSample,
  type Labels,
  labelText,
  type Metric,
  single,
} from "../../telemetry/exposition.ts";
import {
  DURATION_BOUNDS_MS,
  durationBucket,
  type TrafficCounts,
  type TrafficEdge,
  type TrafficReport,
} from "../../traffic/traffic-report.ts";
import { BREAKER_STATES, type ProxyStanding, type ServicePortStanding } from "./proxy-standing.ts";

/** No Service can be called so. */
const OVERFLOW = "_overflow";
const BOUNDS = DURATION_BOUNDS_MS.map((ms) => ms / 1000);

interface LabelledEdge {
  readonly edge: TrafficEdge;
  /** Text of its labels, which are in each of its samples. */
  readonly shared: string;
}

/** Each is made when it is asked for: all of them at once hold a thread for long. */
export function* trafficMetrics(report: TrafficReport): Generator<Metric> {
  const edges = report.edges.map((edge) => ({ edge, shared: labelText(labelsOf(edge)) }));
  const http = edges.filter(({ edge }) => edge.protocol === "http");
  const flows = edges.filter(({ edge }) => edge.protocol !== "http");
  const told = report.edges.filter(({ servicePort }) => servicePort !== "").length;
  yield counter(
    "tulle_requests_total",
    "HTTP requests by class of status; none: ended without an answer.",
    http,
    byClass,
  );
  yield {
    type: "histogram",
    name: "tulle_request_duration_seconds",
    help: "From the request's head to the end of its answer, tries included; tunnels are left out.",
    bounds: BOUNDS,
    samples: http.map(({ edge, shared }) => ({
      shared,
      labels: {},
      counts: edge.durations,
      sum: edge.durationUs / 1e6,
      exemplars: exemplarsOf(edge),
    })),
  };
  yield counter("tulle_retries_total", "Tries after the first.", http, (edge) => count(edge.retries));
  yield counter("tulle_failures_total", "Calls that were not served as asked, by reason.", edges, byReason);
  yield counter("tulle_audited_denials_total", "Calls that access control would refuse.", edges, (edge) =>
    count(edge.audited, { protocol: edge.protocol }),
  );
  yield counter("tulle_received_bytes_total", "Content from callers.", edges, (edge) => bytes(edge, "bytesUp"));
  yield counter("tulle_sent_bytes_total", "Content to callers.", edges, (edge) => bytes(edge, "bytesDown"));
  yield counter("tulle_flows_opened_total", "Flows that got an endpoint.", flows, ({ protocol, flowsOpened }) =>
    count(flowsOpened, { protocol }),
  );
  yield counter("tulle_flows_total", "Flows that have ended.", flows, ({ protocol, flowsEnded }) =>
    count(flowsEnded, { protocol }),
  );
  yield single(
    "gauge",
    "tulle_traffic_edges",
    "Callers, services and backends that are told apart; 2,000 at most.",
    told,
  );
}

export function standingMetrics(standing: ProxyStanding): Metric[] {
  const ports = Object.entries(standing.servicePorts).map(([key, each]) => ({ each, labels: destinationOf(key) }));
  const gauge = (name: string, help: string, read: (each: ServicePortStanding) => number | undefined): Metric => ({
    type: "gauge",
    name,
    help,
    samples: samplesOf(ports, read),
  });
  const breakerOf = ({ breaker }: ServicePortStanding) =>
    breaker === undefined ? undefined : BREAKER_STATES.indexOf(breaker);
  return [
    single("gauge", "tulle_connections", "HTTP connections of callers.", standing.connections),
    single("gauge", "tulle_upstream_connections", "HTTP connections to endpoints.", standing.upstreamConnections),
    {
      type: "gauge",
      name: "tulle_open_flows",
      help: "Flows that are open.",
      samples: [
        { labels: { protocol: "tcp" }, value: standing.tcpFlows },
        { labels: { protocol: "udp" }, value: standing.udpFlows },
      ],
    },
    gauge("tulle_breaker_state", "Circuit breaker: 0 closed, 1 open, 2 recovering.", breakerOf),
    gauge("tulle_service_connections", "Connections to a service's endpoints.", ({ connections }) => connections),
    gauge("tulle_waiting_calls", "Calls that wait for a connection.", ({ waiting }) => waiting),
    gauge("tulle_ejected_endpoints", "Endpoints that are left out for a while.", ({ ejected }) => ejected),
    {
      type: "counter",
      name: "tulle_ejections_total",
      help: "How often an endpoint was left out.",
      samples: samplesOf(ports, ({ ejections }) => ejections),
    },
    {
      type: "counter",
      name: "tulle_retries_refused_total",
      help: "Tries that a retry budget did not give.",
      samples: samplesOf(ports, ({ retriesRefused }) => retriesRefused),
    },
  ];
}

/** Of the bucket that it is in. */
function exemplarsOf({ exemplar }: TrafficEdge): NonNullable<HistogramSample["exemplars"]> {
  if (exemplar === undefined) return [];
  const { traceId, durationMs, at } = exemplar;
  const exemplars: (ExpositionExemplar | undefined)[] = Array.from({ length: durationBucket(durationMs) });
  return [...exemplars, { labels: { trace_id: traceId }, value: durationMs / 1000, timestamp: at }];
}

type LabelledPort = { readonly each: ServicePortStanding; readonly labels: Labels };

function samplesOf(ports: readonly LabelledPort[], read: (each: ServicePortStanding) => number | undefined) {
  return ports.flatMap(({ each, labels }) => {
    const value = read(each);
    return value === undefined ? [] : [{ labels, value }];
  });
}

type Counted = readonly (readonly [number, Labels])[];

/** What has not happened has no series: the least labels that an edge needs are many already. */
function counter(
  name: string,
  help: string,
  edges: readonly LabelledEdge[],
  of: (edge: TrafficEdge) => Counted,
): Metric {
  const samples: { shared: string; labels: Labels; value: number }[] = [];
  for (const { edge, shared } of edges)
    for (const [value, labels] of of(edge)) if (value > 0) samples.push({ shared, labels, value });
  return { type: "counter", name, help, samples };
}

const count = (value: number, labels: Labels = {}): Counted => [[value, labels]];

const CLASSES: readonly Labels[] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"].map((code) => ({ code }));

const byClass = ({ exchanges }: TrafficCounts): Counted =>
  exchanges.map((value, index) => [value, CLASSES[index] as Labels]);

const byReason = ({ failures, protocol }: TrafficEdge): Counted =>
  Object.entries(failures).map(([reason, value]) => [value, { protocol, reason }]);

const bytes = (edge: TrafficEdge, which: "bytesUp" | "bytesDown"): Counted =>
  count(edge[which], { protocol: edge.protocol });

function labelsOf({ source, servicePort, backend }: TrafficEdge): Labels {
  if (servicePort === "") return { destination_service: OVERFLOW };
  const [namespace = "", workload = ""] = source.split("/");
  return { source_namespace: namespace, source_workload: workload, ...destinationOf(servicePort), backend };
}

/** Of `namespace/service:port`. */
function destinationOf(servicePort: string): Labels {
  const slash = servicePort.indexOf("/");
  const colon = servicePort.lastIndexOf(":");
  return {
    destination_namespace: servicePort.slice(0, slash),
    destination_service: servicePort.slice(slash + 1, colon),
    destination_port: servicePort.slice(colon + 1),
  };
}
