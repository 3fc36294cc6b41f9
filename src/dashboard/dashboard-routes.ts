/**
 * The dashboard's page and its files, as they lie in `dashboard/` of the package. They are read once, when the process
 * starts: an upgrade of the package below a running one cannot mix two versions, and no path of a request ever meets the
 * file system.
 */
import { readdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import { type AdminRoutes, type Answer, text } from "../admin/admin-server.ts";

/** Of src/ and of dist/ alike. */
const FOLDER = new URL("../../dashboard/", import.meta.url);
const PAGE = "index.html";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/**
 * Nothing from elsewhere, nothing inline, in nobody's frame: text of the cluster that got into the page as markup all the
 * same could neither run nor send anything away.
 */
const HEADERS = {
  "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-cache",
};

/** `/` for browsers, and `/assets/…`. */
export function dashboardRoutes(): AdminRoutes {
  const files = readFiles();
  const find = (name: string): Answer => files.get(name) ?? text(`the dashboard has no ${name}\n`, 404);
  return {
    "/": { says: "the dashboard, for browsers; this list for others", answer: () => find(PAGE) },
    "/assets/{file}": { says: "what the dashboard's page needs", answer: ([name = ""]) => find(name) },
  };
}

function readFiles(): ReadonlyMap<string, Answer> {
  const files = new Map<string, Answer>();
  for (const name of readdirSync(FOLDER)) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const body = readFileSync(new URL(name, FOLDER), "utf8");
    files.set(name, { status: 200, type, body, headers: HEADERS });
  }
  return files;
}
