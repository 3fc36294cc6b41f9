/** Variables of the process, handed down by the command line. */
export type Environment = Readonly<Record<string, string | undefined>>;
