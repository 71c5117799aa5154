import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { POLL_MS } from "@/config/live";
import { api } from "@/lib/api/client";
import { useSocketUp } from "@/lib/live/connection";
import type { Session } from "@/types/api";

const KEY = ["session"];

/** Who this browser is to the server. While the socket is away it is asked for anew: it tells when the server is back. */
export function useSession() {
  const isSocketUp = useSocketUp();
  return useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => api<Session>("/session", { signal }),
    refetchInterval: ({ state }) => (isSocketUp || isRefused(state.error) ? false : POLL_MS),
    retry: false,
    staleTime: Infinity,
  });
}

const isRefused = (error: Error | null): boolean => error !== null && "status" in error && error.status === 401;

export function useSignIn() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (token: string) => api<Session | undefined>("/session", { body: { token } }),
    onSuccess: () => client.resetQueries(),
  });
}

export function useSignOut() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => api<void>("/session", { method: "DELETE" }),
    onSuccess: () => client.resetQueries(),
  });
}
