/** Installing and taking away, as the docs say it. */
import { admin, eventually, fail, helm, MESH_NAMESPACE, RELEASE, SETTINGS } from "./cluster.ts";

const CHART = new URL("../../chart", import.meta.url).pathname;

/** @param values such as `acl=on` */
export async function install(values: readonly string[] = [], namespace = MESH_NAMESPACE): Promise<void> {
  const image = `image.repository=${SETTINGS.repository},image.tag=${SETTINGS.tag}`;
  const set = [image, ...values].flatMap((value) => ["--set", value]);
  await helm("install", RELEASE, CHART, "-n", namespace, "--create-namespace", ...set, "--wait", "--timeout=120s");
}

/** With the values that it has, and these. */
export async function upgrade(values: readonly string[]): Promise<void> {
  const set = values.flatMap((value) => ["--set", value]);
  await helm("upgrade", RELEASE, CHART, "-n", MESH_NAMESPACE, "--reuse-values", ...set, "--wait", "--timeout=120s");
}

/** Ready when it is in force on every proxy. */
export async function setAccessControl(mode: "off" | "audit" | "on"): Promise<void> {
  await upgrade([`acl=${mode}`]);
  await eventually(`access control ${mode} in force`, 60, async () => {
    const { config } = await admin<{ config: { accessControl: string } }>("/api/config");
    if (config.accessControl !== mode) fail(config.accessControl);
    const nodes = await admin<{ programmed: boolean }[]>("/api/status/nodes");
    if (!nodes.every(({ programmed }) => programmed)) fail(JSON.stringify(nodes));
  });
}

export async function uninstall(namespace = MESH_NAMESPACE): Promise<void> {
  await helm("uninstall", RELEASE, "-n", namespace, "--wait", "--timeout=180s");
}
