/** Where processes say what happens to them. Fields are plain values; the writer decides their form. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean>>;

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
