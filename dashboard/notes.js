import { h, setAttribute, setText } from "./dom.js";

/** @typedef {import("./mesh-store.js").MeshStore} MeshStore */

/** What must be known to read the figures: that there are none, or over which time they are. @param {MeshStore} store */
export function trafficNote(store) {
  const element = h("p", { class: "note" });
  const update = () => {
    const { trafficMissing, traffic } = store;
    const figures =
      traffic.seconds === 0
        ? "Figures come with the second look, in two seconds."
        : `Figures are of the last ${Math.round(traffic.seconds)} seconds.`;
    setText(element, trafficMissing === "" ? figures : `There are no figures of traffic: ${trafficMissing}.`);
    setAttribute(element, "class", trafficMissing === "" ? "note" : "note warn");
  };
  return { element, update };
}
