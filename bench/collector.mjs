/** A collector that takes all spans and looks at none: `node bench/collector.mjs PORT`. */
import http from "node:http";

http
  .createServer((request, response) => {
    request.resume().on("end", () => response.end());
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
