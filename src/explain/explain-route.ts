/** `/api/explain`: what would happen to a call, as `tulle explain --json` says it. */
import { type AdminRoutes, json, text } from "../admin/admin-server.ts";
import { type ExplainedMesh, explain, type Question, UnanswerableError } from "./explain.ts";

const PARAMETERS = ["from", "to", "method", "path", "header"];

/** @param mesh as it is in force when it is asked; undefined where nothing is yet */
export function explainRoute(mesh: () => ExplainedMesh | undefined): AdminRoutes {
  return {
    "/api/explain": {
      private: true,
      says: `what would happen to a call, and which object decides: ${PARAMETERS.join(", ")}`,
      answer: (_, { query }) => {
        const question = readQuestion(query);
        if (typeof question === "string") return text(`${question}\n`, 400);
        const explained = mesh();
        if (explained === undefined) return text("no configuration is in force yet\n", 503);
        try {
          return json(explain(question, explained));
        } catch (error) {
          // Its messages name the options of the command, and the parameters have the same names.
          if (error instanceof UnanswerableError) return text(`${error.message.replace(/^--/, "")}\n`, 400);
          throw error;
        }
      },
    },
  };
}

/** @returns the question, or what is wrong with it */
function readQuestion(query: URLSearchParams): Question | string {
  for (const name of query.keys())
    if (!PARAMETERS.includes(name)) return `there is no parameter "${name}"; there are ${PARAMETERS.join(", ")}`;
  const [from, to] = [query.get("from"), query.get("to")];
  if (from === null) return "say who calls: from=NAMESPACE/POD";
  if (to === null) return "say what is called: to=HOST or to=HOST:PORT";
  const headers: { name: string; value: string }[] = [];
  for (const line of query.getAll("header")) {
    const colon = line.indexOf(":");
    if (colon < 1) return `header "${line}": expected NAME:VALUE`;
    headers.push({ name: line.slice(0, colon).trim(), value: line.slice(colon + 1).trim() });
  }
  const method = (query.get("method") ?? "GET").toUpperCase();
  return { from, to, method, path: query.get("path") ?? "/", headers };
}
