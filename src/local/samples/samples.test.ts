import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../model/clock.ts";
import type { Container } from "../../model/objects.ts";
import { type Log, silentLog } from "../../telemetry/log.ts";
import { type SampleSpec, sampleFor, sampleOfProgram } from "./sample-images.ts";
import { startSample } from "./samples.ts";
import { addressText } from "./whoami-text.ts";

function container(image: string, more: Partial<Container> = {}): Container {
  return { name: "c", image, command: [], args: [], env: {}, ports: [], ...more };
}

function specOf(image: string, more: Partial<Container> = {}): SampleSpec {
  return sampleFor(container(image, more)) as SampleSpec;
}

test("the sample images are known in every spelling, with their ports", () => {
  for (const image of [
    "traefik/whoami",
    "traefik/whoami:v1.6.0",
    "containous/whoami:latest",
    "docker.io/traefik/whoami:v1.10",
    "index.docker.io/traefik/whoami",
    "traefik/whoami@sha256:0123",
    "traefik/whoami:v1.6.0@sha256:0123",
  ])
    expect(specOf(image), image).toMatchObject({ kind: "http", port: 80, image });
  expect(specOf("containous/whoamitcp:v0.1.0")).toMatchObject({ kind: "tcp", port: 8080 });
  expect(specOf("traefik/whoamitcp")).toMatchObject({ kind: "tcp", port: 8080 });
  expect(specOf("traefik/whoamiudp:v0.1.0")).toMatchObject({ kind: "udp", port: 8080 });
});

test("other images are none", () => {
  for (const image of [
    "giantswarm/tiny-tools:3.9",
    "whoami",
    "ghcr.io/traefik/whoami",
    "localhost:5000/traefik/whoami",
    "traefik/whoamitls",
    "my/traefik/whoami",
    "constructor",
    "",
  ])
    expect(sampleFor(container(image)), image).toBeUndefined();
});

test("flags are read as the images read them", () => {
  expect(specOf("traefik/whoami", { args: ["-port", "8081", "--name=me", "-verbose"] })).toMatchObject({
    port: 8081,
    name: "me",
    verbose: true,
  });
  expect(specOf("traefik/whoami", { args: ["--port=8081", "rest", "-port=1"] }).port).toBe(8081);
  expect(specOf("traefik/whoami", { args: ["-verbose=false", "--", "-port=1"] })).toMatchObject({
    port: 80,
    verbose: false,
  });
  expect(specOf("traefik/whoamitcp", { args: ["-port", ":9000", "-banner"] })).toMatchObject({
    port: 9000,
    banner: true,
  });
});

test("the environment is read, and flags win over it", () => {
  const env = { WHOAMI_PORT_NUMBER: "8088", WHOAMI_NAME: "from-env", POD: "p-1" };
  expect(specOf("traefik/whoami", { env })).toMatchObject({ port: 8088, name: "from-env" });
  expect(specOf("traefik/whoami", { env, args: ["-port=1234", "-name=$(POD)/$$(POD)/$(NONE)"] })).toMatchObject({
    port: 1234,
    name: "p-1/$(POD)/$(NONE)",
  });
  expect(specOf("traefik/whoamitcp", { env }).port).toBe(8080);
});

test("a command of the image's own program is read with its flags, another one is not served", () => {
  expect(specOf("traefik/whoami", { command: ["/whoami", "-port", "81"], args: ["-name=x"] })).toMatchObject({
    port: 81,
    name: "x",
  });
  expect(sampleFor(container("traefik/whoami", { command: ["sleep", "3600"] }))).toBeUndefined();
});

test("a program by itself reads the same flags and variables, and may take any port", () => {
  const env = { WHOAMI_PORT_NUMBER: "0", WHOAMI_NAME: "$(NOT_EXPANDED)" };
  expect(sampleOfProgram("whoami", [], env)).toMatchObject({ kind: "http", port: 0, name: "$(NOT_EXPANDED)" });
  expect(sampleOfProgram("whoamiudp", ["-port=9"], env)).toMatchObject({ kind: "udp", port: 9, name: "" });
  expect(sampleOfProgram("nginx", [], env)).toBeUndefined();
});

test("callers over IPv4 are written as such, whatever socket they came to", () => {
  expect(addressText("::ffff:10.0.0.4", 80)).toBe("10.0.0.4:80");
  expect(addressText("10.0.0.4", 80)).toBe("10.0.0.4:80");
  expect(addressText("fd00::4", 80)).toBe("[fd00::4]:80");
});

test("what would not start says why, when it is started", async () => {
  const cases: [Partial<Container>, string][] = [
    [{ args: ["-prot", "80"] }, "traefik/whoami: the image knows no flag -prot"],
    [{ args: ["-__proto__=1"] }, "traefik/whoami: the image knows no flag -__proto__"],
    [{ args: ["-port"] }, "traefik/whoami: flag -port has no value"],
    [{ args: ["-=1"] }, 'traefik/whoami: "-=1" is no flag'],
    [{ args: ["-port", "http"] }, 'traefik/whoami: port "http" is no port number'],
    [{ args: ["-port", "65536"] }, 'traefik/whoami: port "65536" is no port number'],
    [{ env: { WHOAMI_PORT_NUMBER: "0" } }, 'traefik/whoami: port "0" is no port number'],
    [
      { args: ["-cert", "/c.pem", "-key", "/k.pem"] },
      "traefik/whoami: flag -cert asks for TLS, which Tulle's samples do not speak",
    ],
  ];
  for (const [more, message] of cases) {
    const spec = specOf("traefik/whoami", more);
    expect(spec.unusable).toBe(message);
    await expect(startSample(spec, options("127.1.77.1"))).rejects.toThrow(message);
  }
});

const options = (address: string, log: Log = silentLog) => ({ podName: "p-1", address, log, clock: systemClock });

async function takePort(address: string): Promise<number> {
  const server = net.createServer().listen(0, address);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as net.AddressInfo).port;
}

test.each(["http", "tcp"] as const)(
  "a port that is taken is an error that names Pod, address and port (%s)",
  async (kind) => {
    const port = await takePort("127.1.77.2");
    const spec = { ...specOf("traefik/whoami"), kind, port };
    await expect(startSample(spec, options("127.1.77.2"))).rejects.toThrow(
      `Pod p-1 cannot be served on 127.1.77.2:${port}: another program or container has the port (EADDRINUSE)`,
    );
  },
);

test("two samples of a Pod cannot have one UDP port", async () => {
  const spec = { ...specOf("traefik/whoamiudp"), port: 0 };
  const first = await startSample(spec, options("127.1.77.3"));
  await expect(startSample({ ...spec, port: first.port }, options("127.1.77.3"))).rejects.toThrow(
    `Pod p-1 cannot be served on 127.1.77.3:${first.port}: another program or container has the port (EADDRINUSE)`,
  );
  await first.close();
});

test("an address of another machine is said to be one", async () => {
  await expect(startSample(specOf("traefik/whoamitcp"), options("192.0.2.1"))).rejects.toThrow(
    "Pod p-1 cannot be served on 192.0.2.1:8080: the address is not one of this machine (EADDRNOTAVAIL)",
  );
});

test("with onSubstitute another port is taken, and told", async () => {
  const port = await takePort("127.1.77.4");
  const told: unknown[] = [];
  const onSubstitute = (instead: number, cause: string) => told.push([instead, cause]);
  const sample = await startSample({ ...specOf("traefik/whoami"), port }, { ...options("127.1.77.4"), onSubstitute });
  expect(sample.port).not.toBe(port);
  expect(told).toEqual([[sample.port, "another program or container has the port (EADDRINUSE)"]]);
  await sample.close();
});
