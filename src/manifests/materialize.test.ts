import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DecodedObject } from "../model/decode/decode-object.ts";
import type { EndpointSlice, MeshObject, Pod } from "../model/objects.ts";
import { LoopbackAddresses } from "./loopback-addresses.ts";
import { parseManifest } from "./manifest-file.ts";
import { materialize } from "./materialize.ts";

const parse = (text: string): DecodedObject[] =>
  parseManifest("test.yaml", text).entries.flatMap(({ objects }) => objects);
const make = (text: string) => materialize(parse(text), new LoopbackAddresses());
const podsOf = (objects: readonly MeshObject[]) => objects.filter((object): object is Pod => object.kind === "Pod");
const slicesOf = (objects: readonly MeshObject[]) =>
  objects.filter((object): object is EndpointSlice => object.kind === "EndpointSlice");
const names = (text: string) => podsOf(make(text).objects).map(({ meta }) => meta.name);

const template = (labels: string, more = "") =>
  `template: {metadata: {labels: ${labels}}, spec: {containers: [{name: c, image: i, ports: [{name: web, containerPort: 8080}]}]${more}}}`;
const deployment = (replicas: number, more = "") =>
  `---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: n}, spec: {replicas: ${replicas}, ${template("{app: web}", more)}}}\n`;
const service = (ports: string, selector = "{app: web}") =>
  `---\n{apiVersion: v1, kind: Service, metadata: {name: web, namespace: n}, spec: {selector: ${selector}, ports: ${ports}}}\n`;

describe("Pods of a Deployment", () => {
  test("are named as Kubernetes names them, run, and have addresses and the template's labels", () => {
    const [pod] = podsOf(make(deployment(1)).objects);
    expect(pod?.meta.name).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]{9}-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    expect(pod).toMatchObject({ ips: ["127.1.0.1"], phase: "Running", ready: true, meta: { labels: { app: "web" } } });
  });

  test("keep their names when there are more or fewer of them", () => {
    expect(names(deployment(5)).filter((name) => names(deployment(3)).includes(name))).toHaveLength(3);
  });

  test("have new names when the template changes", () => {
    const before = names(deployment(2));
    expect(names(deployment(2, ", serviceAccountName: other")).filter((name) => before.includes(name))).toEqual([]);
  });

  test("are unique among a thousand", () => {
    expect(new Set(names(deployment(1000))).size).toBe(1000);
  });

  test("are none for more than a machine can hold, with a problem", () => {
    const { objects, problems } = make(deployment(1001));
    expect([podsOf(objects).length, problems.map(({ field }) => field)]).toEqual([0, ["spec.replicas"]]);
  });

  test("take the place of those that an export of a cluster brings along", () => {
    const exported = `---
{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-abc, namespace: n}, spec: {replicas: 1, ${template("{app: web, pod-template-hash: abc}")}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-abc-12345, namespace: n, labels: {app: web, pod-template-hash: abc}}, spec: {containers: [{name: c}]}, status: {podIP: 10.0.0.9, phase: Running}}
`;
    expect(names(deployment(2) + exported)).toHaveLength(2);
  });
});

test("a StatefulSet counts its Pods, a DaemonSet has one a node, a Job that ended has completed ones", () => {
  const set = (kind: string, group: string, more = "") =>
    `---\n{apiVersion: ${group}/v1, kind: ${kind}, metadata: {name: ${kind.toLowerCase()}}, spec: {replicas: 2, ${template("{a: b}")}}${more}}\n`;
  expect(names(set("StatefulSet", "apps"))).toEqual(["statefulset-0", "statefulset-1"]);
  const nodes =
    "---\n{apiVersion: v1, kind: Node, metadata: {name: n1}}\n---\n{apiVersion: v1, kind: Node, metadata: {name: n2}}\n";
  expect(
    podsOf(make(set("DaemonSet", "apps") + nodes).objects)
      .map(({ nodeName }) => nodeName)
      .sort(),
  ).toEqual(["n1", "n2"]);
  const ended = ", status: {conditions: [{type: Complete, status: 'True'}]}";
  expect(podsOf(make(set("Job", "batch", ended)).objects)).toMatchObject([{ phase: "Succeeded" }]);
});

describe("the slices of a Service", () => {
  test("name its ready Pods, with the Pod's port for a port's name", () => {
    const { objects } = make(deployment(2) + service("[{port: 80, targetPort: web}]"));
    expect(slicesOf(objects)).toMatchObject([
      {
        service: "web",
        ports: [{ name: "", port: 8080, protocol: "TCP" }],
        endpoints: [
          { addresses: ["127.1.0.1"], ready: true },
          { addresses: ["127.1.0.2"], ready: true },
        ],
      },
    ]);
  });

  test("leave out, with a problem, a Pod without a port of that name", () => {
    const { objects, problems } = make(
      deployment(1) + service("[{name: a, port: 80, targetPort: wep}, {name: b, port: 81}]"),
    );
    expect(slicesOf(objects)).toMatchObject([{ ports: [{ name: "b", port: 81 }] }]);
    expect(problems).toMatchObject([{ code: "TargetPortUnresolved", field: "spec.ports[0].targetPort" }]);
  });

  test("are the manifest's own for a Service without selector, and made here for one with", () => {
    const slice =
      "---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: own, namespace: n, labels: {kubernetes.io/service-name: web}}, endpoints: [{addresses: [127.0.0.1]}], ports: [{port: 3000}]}\n";
    expect(slicesOf(make(service("[{port: 80}]", "{}") + slice).objects).map(({ meta }) => meta.name)).toEqual(["own"]);
    expect(
      slicesOf(make(deployment(1) + service("[{port: 80}]") + slice).objects).map(({ meta }) => meta.name),
    ).not.toContain("own");
  });
});

test("a slice or Endpoints of no Service is a warning, said once", () => {
  const slice = (name: string, labels: string) =>
    `---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: ${name}, namespace: n, labels: ${labels}}, endpoints: [{addresses: [127.0.0.1]}]}\n`;
  const subset = "{addresses: [{ip: 127.0.0.1}]}";
  const endpoints = (name: string) =>
    `---\n{apiVersion: v1, kind: Endpoints, metadata: {name: ${name}, namespace: n}, subsets: [${subset}, ${subset}]}\n`;
  const { problems } = make(
    service("[{port: 80}]", "{}") +
      slice("good", "{kubernetes.io/service-name: web}") +
      slice("lost", "{kubernetes.io/service-name: wed}") +
      slice("nobody", "{}") +
      endpoints("web") +
      endpoints("wet"),
  );
  expect(problems.map(({ code, object, field }) => `${code} ${object.kind} ${object.name} ${field}`)).toEqual([
    'SliceWithoutService EndpointSlice lost metadata.labels["kubernetes.io/service-name"]',
    'SliceWithoutService EndpointSlice nobody metadata.labels["kubernetes.io/service-name"]',
    "SliceWithoutService Endpoints wet metadata.name",
  ]);
});

test("addresses from another network are replaced, those of loopback are kept", () => {
  const pod = (name: string, ip: string) =>
    `---\n{apiVersion: v1, kind: Pod, metadata: {name: ${name}}, spec: {containers: [{name: c}]}, status: {podIP: ${ip}}}\n`;
  const { objects } = make(pod("a", "10.1.2.3") + pod("b", "127.1.7.7"));
  expect(podsOf(objects).map(({ ips }) => ips)).toEqual([["127.1.0.1"], ["127.1.7.7"]]);
});

test("the order of the documents makes no difference", () => {
  const documents = parse(
    deployment(3) +
      service("[{port: 80}]") +
      deployment(2).replaceAll("web", "api") +
      service("[{port: 81}]").replaceAll("web", "api"),
  );
  const whole = materialize(documents, new LoopbackAddresses());
  fc.assert(
    fc.property(fc.shuffledSubarray(documents, { minLength: documents.length }), (shuffled) => {
      expect(materialize(shuffled, new LoopbackAddresses())).toEqual(whole);
    }),
  );
});
