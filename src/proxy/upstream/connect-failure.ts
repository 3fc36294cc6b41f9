import type { Failure } from "../../model/failures.ts";

/** What an error of connect(2) means to an operator. Nothing was sent in any of these cases. */
export function connectFailure(code: string | undefined): Failure {
  switch (code) {
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      // Nothing answered.
      return "ConnectTimeout";
    case "EMFILE":
    case "ENFILE":
    case "EADDRNOTAVAIL":
      // Descriptors or local ports are used up: the lack is ours.
      return "TooManyConnections";
    default:
      return "ConnectRefused";
  }
}
