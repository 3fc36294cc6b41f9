/** A configuration, by what people ask of it: Services, who is behind them, who may call. */

/** @typedef {import("../src/config/mesh-config.ts").MeshConfig} MeshConfig */
/** @typedef {import("../src/config/mesh-config.ts").ServicePort} ServicePort */
/** @typedef {import("../src/config/mesh-config.ts").Route} Route */
/** @typedef {import("../src/config/mesh-config.ts").AccessRule} AccessRule */

/**
 * @typedef {object} Service
 * @property {string} key `namespace/name`
 * @property {string} namespace
 * @property {string} name
 * @property {ServicePort[]} ports
 * @property {Split[]} splits
 * @property {Set<string>} workloads `namespace/workload` behind it
 */

/**
 * Where a route leads to another Service.
 * @typedef {object} Split
 * @property {string} backend `namespace/name`
 * @property {number} share of 1, by weight
 * @property {string} object `Kind namespace/name` that says so
 */

/** @param {string} servicePort `namespace/service:port` */
export const serviceOf = (servicePort) => servicePort.slice(0, servicePort.lastIndexOf(":"));

/** @param {{ kind: string, namespace: string, name: string }} ref */
export const formatRef = ({ kind, namespace, name }) => `${kind} ${namespace === "" ? name : `${namespace}/${name}`}`;

export class MeshIndex {
  /** @type {Map<string, Service>} */
  services = new Map();
  /** Service by workload behind it; a workload behind several is none's. @type {Map<string, string>} */
  serviceOfWorkload = new Map();
  /** @type {readonly string[]} */
  namespaces;

  /** @param {MeshConfig} config */
  constructor(config) {
    this.config = config;
    for (const port of Object.values(config.servicePorts)) this.#addPort(port);
    for (const service of this.services.values()) service.splits = splitsOf(service);
    const shared = new Set();
    for (const { key, workloads } of this.services.values())
      for (const workload of workloads) {
        if (this.serviceOfWorkload.has(workload)) shared.add(workload);
        this.serviceOfWorkload.set(workload, key);
      }
    for (const workload of shared) this.serviceOfWorkload.delete(workload);
    this.namespaces = [...new Set([...this.services.values()].map(({ namespace }) => namespace))].sort();
  }

  /** @param {ServicePort} port */
  #addPort(port) {
    const { namespace, service: name } = port;
    const key = `${namespace}/${name}`;
    const service = this.services.get(key) ?? {
      ...{ key, namespace, name, ports: [], splits: [], workloads: new Set() },
    };
    this.services.set(key, service);
    service.ports.push(port);
    for (const [address, { pod }] of Object.entries(port.endpoints)) {
      const caller = this.config.workloads[hostOf(address)];
      const workload = caller === undefined ? pod : `${caller.namespace}/${caller.workload ?? caller.pod}`;
      if (workload !== undefined) service.workloads.add(workload);
    }
  }

  /** @param {Service} service @returns {AccessRule[]} what opens a port of it, in order of their names */
  rulesFor({ ports }) {
    return Object.keys(this.config.accessRules)
      .sort()
      .flatMap((key) => this.config.accessRules[key] ?? [])
      .filter((rule) => ports.some((port) => opens(rule, port)));
  }
}

/**
 * For its protocol, and on a port of a Pod behind it that runs as the rule's destination.
 * @param {AccessRule} rule
 * @param {ServicePort} servicePort
 */
function opens(rule, { trafficType, endpoints }) {
  const section = rule[trafficType];
  if (section === undefined) return false;
  return Object.entries(endpoints).some(([address, { identity }]) => {
    const podPort = Number(address.slice(address.lastIndexOf(":") + 1));
    return identity === rule.destination && section.ports?.includes(podPort) !== false;
  });
}

/** @param {Service} service @returns {Split[]} */
function splitsOf({ key, ports }) {
  /** @type {Map<string, Split>} */
  const splits = new Map();
  for (const { routes = [] } of ports)
    for (const { backends, origin } of routes) {
      const total = backends.reduce((all, { weight }) => all + weight, 0);
      for (const { servicePort, weight } of backends) {
        const backend = serviceOf(servicePort);
        // The last route is the one without conditions, if any is: it says the most.
        if (backend !== key)
          splits.set(backend, { backend, share: total === 0 ? 0 : weight / total, object: formatRef(origin) });
      }
    }
  return [...splits.values()];
}

/** @param {string} addressPort IPv6 in brackets */
function hostOf(addressPort) {
  return addressPort.slice(0, addressPort.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}
