import type { FieldError, Problem } from "@/types/api";

/** What the API (or the way to it) answered instead of data. `status` is 0 when nothing answered at all. */
export class ApiError extends Error {
  readonly status: number;
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.name = "ApiError";
    this.status = problem.status;
    this.problem = problem;
  }

  get fields(): FieldError[] {
    return this.problem.errors ?? [];
  }

  static unreachable(): ApiError {
    return new ApiError({ status: 0, title: "No answer", detail: "The server does not answer. Is Headway running?" });
  }

  static async from(response: Response): Promise<ApiError> {
    const body = await response.json().catch(() => null);
    const fallback = { status: response.status, title: response.statusText || `HTTP ${response.status}` };
    return new ApiError({ ...fallback, ...(body as Problem | null) });
  }
}

/** True for an error that says: this browser has no (valid) session. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof ApiError && error.status === 401;
}

/** A sentence for a person. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
