/** What `tulle local --json` prints when it is ready: where everything is, for programs. */
export interface ReadyLine {
  readonly ready: true;
  readonly dns: string;
  readonly socks: string;
  readonly admin: string;
  readonly pods: readonly ReadyPod[];
  readonly services: readonly ReadyService[];
}

export interface ReadyPod {
  readonly namespace: string;
  readonly name: string;
  readonly ip: string;
  readonly serviceAccount: string;
}

export interface ReadyPort {
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
  readonly trafficType: "http" | "tcp" | "udp";
  /** Where the mesh name's port really listens; only where that is another. */
  readonly boundPort?: number;
}

export interface ReadyService {
  readonly namespace: string;
  readonly name: string;
  readonly clusterIP: string;
  readonly meshIP: string;
  readonly ports: readonly ReadyPort[];
  readonly hosts: readonly string[];
}
