import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useDebouncedValue } from "@mantine/hooks";
import { api } from "@/lib/api/client";
import type { Forecast, JsonObject } from "@/types/api";

const TYPING_MS = 400;

/** What a job of the kind with this config would take; nothing is known while the config cannot be run. */
export function useForecast(kind: string, config: JsonObject): Forecast | undefined {
  const [settled] = useDebouncedValue(JSON.stringify(config), TYPING_MS);
  const { data, isError } = useQuery({
    queryKey: ["forecast", kind, settled],
    queryFn: ({ signal }) => api<Forecast>(`/kinds/${kind}/forecast`, { body: { config: JSON.parse(settled) as JsonObject }, signal }),
    placeholderData: keepPreviousData,
    retry: false,
  });
  return isError ? undefined : data;
}
