/**
 * What each proxy is set up to do, so that all do the same work: `{kind, addresses, targetPort, services}`.
 *
 * `kind` is `http` (keep-alive on both sides and the forwarding headers that Tulle adds), `h2c` (HTTP/2 without TLS on
 * both sides) or `tcp`. There are `services` of them, each with the same endpoints, and calls go to the last. Tulle
 * serves each on a port of its own, as it does on a node; the others are set up in their own way, by `Host` on one
 * port.
 */

/** With very many services a proxy takes its time. */
export const START_WITHIN_MS = 120_000;

/** The name under which a service is called. */
export const hostOf = (index) => `s${index}.bench`;

/** Of the service that the load calls. */
export const lastHost = ({ services }) => hostOf(services - 1);
