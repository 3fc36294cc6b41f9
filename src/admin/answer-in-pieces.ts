/** An admin API for those who ask over a connection of another kind: what is at a path, with its query. */
import { type AdminRoutes, answerAt } from "./admin-server.ts";

export interface PiecesOutput {
  /** @returns false where the asker is behind, or gone: nothing was written */
  write(text: string): boolean;
  /** @param status as in HTTP */
  end(status: number): void;
}

/** @returns for a path and an output, ends the answer early */
export function answererOf(routes: AdminRoutes): (path: string, output: PiecesOutput) => () => void {
  return (asked, output) => {
    let over = false;
    let stop = () => {};
    const end = (status: number) => {
      if (over) return;
      over = true;
      output.end(status);
    };
    const [path = "", query = ""] = asked.split("?", 2);
    void answerAt(routes, path, { query: new URLSearchParams(query), accept: "", ifNoneMatch: "" }).then((answer) => {
      if (over) return;
      if (answer === undefined) end(404);
      else if ("start" in answer) {
        stop = answer.start({ write: (text) => !over && output.write(text), end: () => end(200) });
      } else end(output.write(answer.body.toString()) ? answer.status : 503);
    });
    return () => {
      over = true;
      stop();
    };
  };
}
