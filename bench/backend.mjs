/**
 * A backend in node, for where nginx is missing: `node bench/backend.mjs PORT ADDRESS...` answers each request head with the
 * same body. It knows no request bodies; wrk sends none.
 */
import net from "node:net";
import { pathToFileURL } from "node:url";

/** As long as an answer of traefik/whoami to curl. */
export const BODY = `Hostname: whoami-7f6cbd9f9d-x2x5p
IP: 127.0.0.1
IP: 10.244.1.17
RemoteAddr: 10.244.1.9:41378
GET / HTTP/1.1
Host: whoami.whoami.traefik.mesh
User-Agent: curl/8.5.0
Accept: */*
X-Forwarded-For: 10.244.1.12
X-Forwarded-Host: whoami.whoami.traefik.mesh
X-Forwarded-Port: 80
X-Forwarded-Proto: http
X-Forwarded-Server: tulle-proxy-4x7kq
X-Real-Ip: 10.244.1.12
`;

const ANSWER = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;

function serve(socket) {
  let rest = "";
  socket.setNoDelay(true).on("error", () => {});
  socket.on("data", (bytes) => {
    rest += bytes.latin1Slice();
    const heads = rest.split("\r\n\r\n");
    rest = heads.pop() ?? "";
    if (heads.length > 0) socket.write(ANSWER.repeat(heads.length), "latin1");
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [port, ...addresses] = process.argv.slice(2);
  for (const address of addresses) net.createServer(serve).listen(Number(port), address, 1024);
}
