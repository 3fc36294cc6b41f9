import type { IncomingMessage, ServerResponse } from "node:http";

const MAX_BODY_BYTES = 4096;

/** `/health`: answers the status that was posted last, so that a sample fails when it is told to. */
export class HealthStatus {
  #status = 200;

  handle(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== "POST") {
      answer(response, this.#status);
      return;
    }
    const parts: Buffer[] = [];
    let bytes = 0;
    request.on("data", (part: Buffer) => {
      bytes += part.length;
      if (bytes <= MAX_BODY_BYTES) parts.push(part);
    });
    request.on("end", () => {
      const status = bytes > MAX_BODY_BYTES ? undefined : statusIn(Buffer.concat(parts).toString());
      if (status !== undefined) this.#status = status;
      answer(response, status === undefined ? 400 : 200);
    });
  }
}

/** A final status code as a JSON number. 1xx is none that an answer could end with. */
function statusIn(body: string): number | undefined {
  const text = body.trim();
  return /^[2-9]\d\d$/.test(text) ? Number(text) : undefined;
}

function answer(response: ServerResponse, status: number): void {
  const bodiless = status === 204 || status === 304;
  response.writeHead(status, bodiless ? {} : { "Content-Length": 0 });
  response.end();
}
