import { QueryClient } from "@tanstack/react-query";
import { newest } from "@/lib/live/newest";
import type { Job } from "@/types/api";
import { ApiError } from "./errors";

const RETRIES = 2;

/** Only what may come right by itself is asked again: no answer, or an answer of the server's own failing. */
function worthRetrying(failures: number, error: Error): boolean {
  return failures < RETRIES && !(error instanceof ApiError && error.status >= 400 && error.status < 500);
}

/** The one cache of server state. */
export function makeQueryClient(): QueryClient {
  const client = new QueryClient({
    defaultOptions: {
      // The server may be this very machine: the browser's idea of being online says nothing about it.
      queries: { networkMode: "always", retry: worthRetrying, staleTime: 5_000, gcTime: 120_000 },
      mutations: { networkMode: "always", retry: false },
    },
  });
  // Whatever writes a job into the cache (a page's read, a push, a poll) goes through newest-wins.
  client.setQueryDefaults(["job"], { structuralSharing: (held, incoming) => newest(held as Job | undefined, incoming as Job) });
  return client;
}
