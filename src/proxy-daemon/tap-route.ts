/** `/api/tap`: live calls, as the query filters them. */
import { type AdminRoutes, type StreamAnswer, text } from "../admin/admin-server.ts";
import type { Clock } from "../model/clock.ts";
import { type TapForm, TapStream } from "../proxy/tap/tap-stream.ts";
import { MAX_TAPS, type TapSource } from "../proxy/tap/taps.ts";
import { readTapFilter, TAP_PARAMETERS, type TapFilter } from "../tap/tap-filter.ts";

const TYPES: Readonly<Record<TapForm, string>> = { lines: "application/x-ndjson", events: "text/event-stream" };

export function tapRoute(source: TapSource, clock: Clock): AdminRoutes {
  return {
    "/api/tap": {
      says: `live calls as JSON lines, or as events; filters: ${TAP_PARAMETERS.join(", ")}`,
      answer: (_parameters, { query, accept }) => {
        const filter = readTapFilter(query);
        if (typeof filter === "string") return text(`${filter}\n`, 400);
        if (source.tapCount >= MAX_TAPS) return text(`there are ${MAX_TAPS} taps already\n`, 503);
        return tapAnswer(source, clock, filter, accept.includes(TYPES.events) ? "events" : "lines");
      },
    },
  };
}

function tapAnswer(source: TapSource, clock: Clock, filter: TapFilter, form: TapForm): StreamAnswer {
  return {
    type: TYPES[form],
    start: (output) => {
      const stream = new TapStream(filter, form, clock, output);
      stream.start(source.openTap(filter, stream));
      return () => stream.stop();
    },
  };
}
