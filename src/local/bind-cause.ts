/** Why an address cannot be listened on, for people. Only the code is there where the error came as text. */
export function bindCause({ code, message }: { readonly code?: string | undefined; readonly message: string }): string {
  switch (code ?? /\bE[A-Z]{3,}\b/.exec(message)?.[0]) {
    case "EACCES":
      return "ports below 1024 need a right that this process lacks (EACCES)";
    case "EADDRINUSE":
      return "another program or container has the port (EADDRINUSE)";
    case "EADDRNOTAVAIL":
      return "the address is not one of this machine (EADDRNOTAVAIL)";
    default:
      return message;
  }
}
