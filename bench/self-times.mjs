/** A CPU profile (V8's .cpuprofile) summed by function. */
import path from "node:path";

/** Places of samples in which nothing of the program ran. */
const NO_WORK = new Set(["(idle)", "(root)"]);

function placeOf({ url, lineNumber }, root) {
  if (url === "") return "";
  const file = url.startsWith(`${root}/`) ? path.relative(new URL(root).pathname, new URL(url).pathname) : url;
  return `${file}:${lineNumber + 1}`;
}

/** Ids of nodes that are called, however deep, from the file at `url`. */
function calledFrom(url, nodes, byId) {
  const found = new Set();
  const add = (node) => {
    found.add(node.id);
    for (const child of node.children ?? []) add(byId.get(child));
  };
  for (const node of nodes) if (node.callFrame.url === url) add(node);
  return found;
}

/**
 * @param root URL of the folder that files are named from, without a slash at its end
 * @param profiler URL of what took the profile, whose own time does not count
 * @returns `{idlePart, functions}`: the part of the time in which nothing ran, and of the rest each function's own
 *   part, most first
 */
export function selfTimes({ nodes, samples, timeDeltas }, { root = "", profiler = "" } = {}) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const left = profiler === "" ? new Set() : calledFrom(profiler, nodes, byId);
  const micros = new Map();
  let [idle, total] = [0, 0];
  for (const [index, id] of samples.entries()) {
    if (left.has(id)) continue;
    const took = Math.max(0, timeDeltas[index]);
    const { callFrame } = byId.get(id);
    total += took;
    if (NO_WORK.has(callFrame.functionName)) idle += took;
    else {
      const key = `${callFrame.functionName || "(anonymous)"}\n${placeOf(callFrame, root)}`;
      micros.set(key, (micros.get(key) ?? 0) + took);
    }
  }
  const busy = Math.max(1, total - idle);
  const functions = [...micros].map(([key, took]) => {
    const [name, place] = key.split("\n");
    return { name, place, part: took / busy };
  });
  return { idlePart: idle / Math.max(1, total), functions: functions.sort((a, b) => b.part - a.part) };
}
