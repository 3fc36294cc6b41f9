/** The cluster's DNS, as its owner sees and edits it. */
import { getJson, kubectl } from "./cluster.ts";

export async function corefile(): Promise<string> {
  const { data } = await getJson<{ data: { Corefile: string } }>("configmap", "coredns", "-n", "kube-system");
  return data.Corefile;
}

export async function setCorefile(text: string): Promise<void> {
  const patch = JSON.stringify({ data: { Corefile: text } });
  await kubectl("-n", "kube-system", "patch", "configmap", "coredns", "--type=merge", "-p", patch);
}
