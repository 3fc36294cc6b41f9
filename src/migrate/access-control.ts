/** Whether Traefik Mesh ran with access control: the one place where its values are asked. */
import { isTree, isTruthy, type Values } from "./value-tree.ts";

export type OriginalAccess = "on" | "off" | "unknown";

/** `acl`, or the older `smi`. Where one is no switch at all and the other is not on, nobody knows what was meant. */
export function accessOf({ acl, smi }: Values): OriginalAccess {
  const switches = [acl, smi];
  if (switches.some((value) => isSwitch(value) && isTruthy(value))) return "on";
  return switches.every(isSwitch) ? "off" : "unknown";
}

function isSwitch(value: unknown): boolean {
  return !Array.isArray(value) && !isTree(value);
}
