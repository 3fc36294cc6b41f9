/** The command line, a variable or the config file says something that cannot be meant. Exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
