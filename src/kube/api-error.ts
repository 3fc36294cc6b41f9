/** What the API server, or the way to it, answered instead of what was asked for. */
export class ApiError extends Error {
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** Of a Kubernetes Status, such as `NotFound`, `Expired`, `AlreadyExists`; empty where there was none. */
  readonly reason: string;
  /** When to come back, where the server says so. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, status = 0, reason = "", retryAfterMs?: number) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

export function isApiError(error: unknown, status: number): boolean {
  return error instanceof ApiError && error.status === status;
}
