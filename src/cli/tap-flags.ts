/** Conditions of `tulle tap`; each is a parameter of `/api/tap` by the same name. */
export const TAP_FLAGS: readonly (readonly [flags: string, description: string])[] = [
  ["--from <namespace[/name]>", "only calls of this namespace, Pod, or what made the Pod"],
  ["--method <method>", "only requests with this method"],
  ["--path <prefix>", "only requests whose path begins so"],
  ["--path-regex <pattern>", "only requests whose path this fits, RE2"],
  ["--status <statuses>", "only answers with one of these: 404,5xx,500-503"],
  ["--reason <reason>", "only what failed for this reason (docs/failures.md), or for any"],
  ["--slower <duration>", "only what took so long: 200ms"],
  ["--denied", "only what access control refused, or would refuse"],
  ["--retried", "only what was tried again"],
  ["--max-rate <calls>", "so many a second of each proxy; without it 100"],
  ["--count <calls>", "end after so many"],
];
