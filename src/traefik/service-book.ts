/** Services of one transport, made as routers ask for them: endpoints, and weights over them. */
import type { MeshConfig, ServicePort } from "../config/mesh-config.ts";
import { inKeyOrder } from "../model/in-key-order.ts";
import type { AccessConditions, Transport } from "./access-conditions.ts";
import { ALWAYS, allOf, type Condition } from "./condition.ts";
import { Names } from "./names.ts";
import type { Case, CaseBackend } from "./route-cases.ts";
import type { WeightedServices } from "./traefik-configuration.ts";
import { wholeWeights } from "./whole-weights.ts";

/** Makes a load balancer of endpoints, by their keys. */
export type MakeServers<Servers> = (servicePort: ServicePort, endpoints: readonly string[]) => Servers;

export class ServiceBook<Servers> {
  readonly #servicePorts: MeshConfig["servicePorts"];
  readonly #access: AccessConditions | undefined;
  readonly #transport: Transport;
  readonly #make: MakeServers<Servers>;
  readonly #names = new Names();
  readonly #services = new Map<string, Servers | WeightedServices>();

  /** @param access absent: everybody may call */
  constructor(
    servicePorts: MeshConfig["servicePorts"],
    access: AccessConditions | undefined,
    transport: Transport,
    make: MakeServers<Servers>,
  ) {
    this.#servicePorts = servicePorts;
    this.#access = access;
    this.#transport = transport;
    this.#make = make;
  }

  get services(): Readonly<Record<string, Servers | WeightedServices>> {
    return Object.fromEntries(inKeyOrder(this.#services));
  }

  /** @returns the name, as of the others */
  own({ namespace, service, port, ...rest }: ServicePort): string {
    const name = this.#names.of("", [namespace, service, port]);
    const servicePort = { namespace, service, port, ...rest };
    return this.#put(name, () => this.#make(servicePort, Object.keys(rest.endpoints).sort()));
  }

  /** @param target `namespace/target` */
  ofTarget(servicePort: ServicePort, target: string, endpoints: readonly string[]): string {
    const { namespace, service, port } = servicePort;
    const [targetNamespace = "", targetName = ""] = target.split("/");
    const name = this.#names.of("traffic-target", [namespace, service, targetName, port], [targetNamespace]);
    return this.#put(name, () => this.#make(servicePort, endpoints));
  }

  /** Of one that has backends. */
  ofCase(each: Case): string {
    const { namespace, service, port } = this.#servicePorts[each.key] as ServicePort;
    const parts = [namespace, service, each.origin.name, port];
    const variant = each.index === 0 ? "" : `-${each.index + 1}`;
    const name = this.#names.of(`traffic-split${variant}`, parts);
    return this.#put(name, () => {
      const backends = backendsOf(each);
      const whole = wholeWeights(backends.map(({ weight }) => weight));
      const weights = new Map<string, number>();
      for (const [index, backend] of backends.entries()) {
        const child = this.#ofBackend(backend, parts);
        weights.set(child, (weights.get(child) ?? 0) + (whole[index] as number));
      }
      return { weighted: { services: [...weights].map(([child, weight]) => ({ name: child, weight })) } };
    });
  }

  /** Who may make a call of this case, wherever it goes then. @param stricter is told of a Service that asks for more */
  access(each: Case, stricter: (key: string) => void): Condition {
    const access = this.#access;
    if (access === undefined) return ALWAYS;
    return allOf(
      each.leaves.map((key) => {
        const servicePort = this.#servicePorts[key];
        if (servicePort === undefined) return ALWAYS;
        const whole = access.whole(servicePort, this.#transport);
        if (whole.stricter) stricter(key);
        return whole.condition;
      }),
    );
  }

  #ofBackend({ key, split }: CaseBackend, parts: readonly (string | number)[]): string {
    if (split !== undefined && split.target !== "own") return this.ofCase(split);
    const servicePort = this.#servicePorts[key];
    const backend = key.slice(key.indexOf("/") + 1, key.lastIndexOf(":"));
    const name = this.#names.of("traffic-split-backend", [...parts, backend]);
    return this.#put(name, () => {
      if (servicePort === undefined) return { weighted: { services: [] } };
      const endpoints =
        this.#access?.whole(servicePort, this.#transport).endpoints ?? Object.keys(servicePort.endpoints).sort();
      return this.#make(servicePort, endpoints);
    });
  }

  #put(name: string, make: () => Servers | WeightedServices): string {
    if (!this.#services.has(name)) this.#services.set(name, make());
    return name;
  }
}

function backendsOf({ target }: Case): readonly CaseBackend[] {
  return target === "own" ? [] : target;
}
