/** The cluster under test, by kubectl and helm, as a user has them. */
import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export const MESH_NAMESPACE = "tulle";
export const RELEASE = "tulle";

/** What the run was given; see e2e/setup.ts. */
export const SETTINGS = {
  repository: process.env["TULLE_E2E_REPOSITORY"] ?? "docker.io/library/tulle",
  tag: process.env["TULLE_E2E_TAG"] ?? "e2e",
  /** The image of Traefik that the cluster has; empty where it has none. */
  traefik: process.env["TULLE_E2E_TRAEFIK"] ?? "",
  /** A command that can stop and start components of the cluster; empty where there is none. */
  breaker: process.env["TULLE_E2E_CLUSTER"] ?? "",
};

export async function kubectl(...args: string[]): Promise<string> {
  return command("kubectl", args);
}

export async function helm(...args: string[]): Promise<string> {
  return command("helm", args);
}

/** `bin/tulle` on this machine, against the cluster: exit code and what it printed. */
export async function tulle(...args: string[]): Promise<{ code: number; text: string }> {
  try {
    const root = new URL("../..", import.meta.url).pathname;
    const { stdout, stderr } = await run(process.execPath, ["bin/tulle", ...args], { cwd: root, timeout: 150_000 });
    return { code: 0, text: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as Error & { code: number; stdout: string; stderr: string };
    return { code, text: stdout + stderr };
  }
}

/** Stops or starts a component of the cluster, such as `stop kube-apiserver`. */
export async function breaker(...args: string[]): Promise<string> {
  return command(SETTINGS.breaker, args);
}

async function command(program: string, args: readonly string[], timeoutMs = 180_000): Promise<string> {
  try {
    const { stdout } = await run(program, [...args], { timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stderr = "", stdout = "", message } = error as Error & { stderr?: string; stdout?: string };
    throw new Error(`${program} ${args.join(" ")}: ${stderr || stdout || message}`);
  }
}

export async function apply(manifest: string): Promise<void> {
  await feed("apply", manifest);
}

/** Objects that are not there yet. */
export async function create(manifest: string): Promise<void> {
  await feed("create", manifest);
}

async function feed(verb: "apply" | "create", manifest: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const child = spawn("kubectl", [verb, "-f", "-"], { stdio: ["pipe", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.on("data", (bytes) => {
      stderr += bytes;
    });
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve() : reject(new Error(`kubectl ${verb}: ${stderr}`))));
    child.stdin.end(manifest);
  });
}

export async function getJson<T>(...args: string[]): Promise<T> {
  return JSON.parse(await kubectl("get", ...args, "-o", "json")) as T;
}

/** A command in a Pod. */
export async function exec(namespace: string, pod: string, ...args: string[]): Promise<string> {
  return command("kubectl", ["-n", namespace, "exec", pod, "--", ...args], 60_000);
}

/** An answer of HTTP as curl in that Pod sees it: status and body. Status 0: none. */
export async function curl(
  namespace: string,
  pod: string,
  url: string,
  ...options: string[]
): Promise<{ status: number; body: string }> {
  const args = ["curl", "-s", "-m", "5", "-w", "\n%{http_code}", ...options, url];
  const text = await exec(namespace, pod, ...args).catch((error: Error) => {
    if (error.message.includes("command terminated with exit code")) return "\n0";
    throw error;
  });
  const end = text.lastIndexOf("\n");
  return { status: Number(text.slice(end + 1)), body: text.slice(0, end) };
}

/** Lines sent and the answer, as nc has it. */
export async function netcat(
  namespace: string,
  pod: string,
  options: string,
  host: string,
  port: number,
  line = "WHO",
): Promise<string> {
  return exec(namespace, pod, "sh", "-c", `echo ${line} | nc ${options} ${host} ${port}`).catch(() => "");
}

/** Tries until it holds. @throws the last failure after `seconds` */
export async function eventually<T>(what: string, seconds: number, check: () => Promise<T>): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s: ${(error as Error).message}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

export function fail(message: string): never {
  throw new Error(message);
}

/**
 * Waits for all but those that have done what they were for.
 * @throws with what the Pods and nodes say of themselves, where one is not ready in time
 */
export async function podsReady(namespace: string, seconds = 120): Promise<void> {
  try {
    const pods = ["pod", "--field-selector=status.phase!=Succeeded"];
    await kubectl("-n", namespace, "wait", "--for=condition=Ready", ...pods, `--timeout=${seconds}s`);
  } catch (error) {
    const pods = await kubectl("-n", namespace, "get", "pods", "-o", "wide");
    const nodes = await kubectl("describe", "nodes");
    throw new Error(`${(error as Error).message}\n${pods}\n${nodes}`);
  }
}

export async function podsOf(namespace: string, selector: string): Promise<PodObject[]> {
  return (await getJson<{ items: PodObject[] }>("pods", "-n", namespace, "-l", selector)).items;
}

export interface PodObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly creationTimestamp: string;
    readonly deletionTimestamp?: string;
  };
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly podIP: string;
    readonly phase: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime: string;
    }[];
    readonly containerStatuses?: readonly { readonly state: { readonly running?: { readonly startedAt: string } } }[];
  };
}

/** What the admin API of a controller says, through the API server. */
export async function admin<T>(path: string, pod?: string): Promise<T> {
  const [first] = await podsOf(MESH_NAMESPACE, "app.kubernetes.io/component=controller");
  const name = pod ?? first?.metadata.name ?? fail("no controller Pod");
  return JSON.parse(
    await kubectl("get", "--raw", `/api/v1/namespaces/${MESH_NAMESPACE}/pods/${name}:9000/proxy${path}`),
  ) as T;
}

/** A figure of a process of the mesh, as Prometheus would get it. */
export async function metric(pod: string, port: number, name: string): Promise<number> {
  const text = await kubectl("get", "--raw", `/api/v1/namespaces/${MESH_NAMESPACE}/pods/${pod}:${port}/proxy/metrics`);
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  return Number(line?.split(" ")[1] ?? fail(`${pod} has no ${name}`));
}

/** A figure of the run, printed with the results. */
export function report(name: string, value: string): void {
  console.log(`  ${name}: ${value}`);
}
