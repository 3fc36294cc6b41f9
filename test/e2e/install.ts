/** Installing and taking away, as the docs say it. */
import { helm, MESH_NAMESPACE, RELEASE, SETTINGS } from "./cluster.ts";

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

export async function uninstall(namespace = MESH_NAMESPACE): Promise<void> {
  await helm("uninstall", RELEASE, "-n", namespace, "--wait", "--timeout=180s");
}
