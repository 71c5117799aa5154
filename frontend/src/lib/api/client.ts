import { TIMEOUT_MS } from "@/config/live";
import { connection } from "@/lib/live/connection";
import { ApiError } from "./errors";

type Query = Record<string, string | number | boolean | null | undefined>;

interface Options {
  query?: Query;
  body?: unknown;
  /** Bytes to send as they are, in place of a body. */
  content?: Blob;
  method?: "GET" | "POST" | "PUT" | "DELETE";
  headers?: Record<string, string>;
  signal?: AbortSignal;
  timeout?: number;
}

/** One call of the API under /api/v1 with the session's cookie. Throws ApiError for every answer that is no success. */
export async function api<T>(path: string, options: Options = {}): Promise<T> {
  const { query, body, content, method = body === undefined ? "GET" : "POST", headers, signal } = options;
  const timeout = AbortSignal.timeout(options.timeout ?? TIMEOUT_MS);
  const response = await fetch(`/api/v1${path}${queryString(query)}`, {
    method,
    credentials: "same-origin",
    headers: { Accept: "application/json", ...(body !== undefined && { "Content-Type": "application/json" }), ...headers },
    body: body === undefined ? content : JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  }).catch((cause: unknown) => {
    if (signal?.aborted) throw cause;
    connection.failed();
    throw ApiError.unreachable();
  });
  connection.answered(response.status < 500);
  if (!response.ok) throw await ApiError.from(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

function queryString(query: Query = {}): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString();
  return text && `?${text}`;
}
