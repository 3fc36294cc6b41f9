/** What Traefik Mesh ran with, as far as the differences hang on it. */
export interface OriginalSettings {
  /** Of the mesh itself; empty: not known. */
  readonly namespace: string;
  /** Also where nobody knows: what would change then is worth telling. */
  readonly acl: boolean;
  readonly defaultMode: string;
  readonly watchNamespaces: readonly string[];
  readonly ignoreNamespaces: readonly string[];
  readonly limits: Readonly<Record<"http" | "tcp" | "udp", number>>;
  /** Certificates of HTTPS endpoints were not checked. */
  readonly insecureSkipVerify: boolean;
}
