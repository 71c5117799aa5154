import { type InfiniteData, infiniteQueryOptions, queryOptions, useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { LABELLING_MS } from "@/config/live";
import { api } from "@/lib/api/client";
import type { Artifact, Densities, Feature, FeatureIndex, FeatureLabel, FeaturesPage, ModelLabels, WholeFeature } from "@/types/api";
import { DENSITIES, type Look } from "../look";

const PAGE_SIZE = 200;

export function useArtifact(id: string) {
  return useQuery({ queryKey: ["artifact", id], queryFn: ({ signal }) => api<Artifact>(`/artifacts/${id}`, { signal }) });
}

/** The SAEs of an index; the index itself never changes, the count of labels does. */
export function useIndex(id: string) {
  return useQuery({ queryKey: ["features", id, "index"], queryFn: ({ signal }) => api<FeatureIndex>(`/artifacts/${id}/feature-index`, { signal }) });
}

export function useDensities(id: string, sae: string) {
  return useQuery({
    queryKey: ["features", id, sae, "densities"],
    queryFn: ({ signal }) => api<Densities>(`/artifacts/${id}/features/${sae}`, { signal }),
    staleTime: Infinity,
  });
}

type Pages = InfiniteData<FeaturesPage, string | null>;

const featureList = (id: string, sae: string, { sort, order, q, density, labelled }: Look) => {
  const { min, max } = density ? DENSITIES[density] : {};
  const filter = { sae, sort, order, q, labelled, min_density: min, max_density: max };
  return infiniteQueryOptions({
    queryKey: ["features", id, sae, "list", filter],
    queryFn: ({ pageParam, signal }) => api<FeaturesPage>(`/artifacts/${id}/features`, { query: { ...filter, cursor: pageParam, limit: PAGE_SIZE }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });
};

export function useFeatures(id: string, sae: string, look: Look) {
  return useInfiniteQuery({ ...featureList(id, sae, look), placeholderData: (held) => held });
}

const oneFeature = (id: string, sae: string, feature: number) =>
  queryOptions({
    queryKey: ["features", id, sae, "one", feature],
    queryFn: ({ signal }) => api<WholeFeature>(`/artifacts/${id}/features/${sae}/${feature}`, { signal }),
  });

export function useFeature(id: string, sae: string, feature: number) {
  return useQuery(oneFeature(id, sae, feature));
}

/** Sets or takes away (null) a label; the page shows it at once, and as it was if the server refuses. */
export function useSetLabel(id: string, sae: string, feature: number) {
  const client = useQueryClient();
  const path = `/artifacts/${id}/features/${sae}/${feature}/label`;
  const one = oneFeature(id, sae, feature).queryKey;
  return useMutation({
    mutationFn: (label: string | null) => (label === null ? api<undefined>(path, { method: "DELETE" }) : api<FeatureLabel>(path, { method: "PUT", body: { label } })),
    onMutate: async (label) => {
      await client.cancelQueries({ queryKey: ["features", id, sae] });
      const held = client.getQueryData(one)?.label ?? null;
      const next = label === null ? null : { label, source: "hand" as const, author: held?.author ?? "", at: new Date().toISOString() };
      writeLabel(feature, next);
      return held;
    },
    onError: (_error, _label, held) => writeLabel(feature, held ?? null),
    onSettled: () => refresh(),
  });

  function writeLabel(no: number, label: FeatureLabel | null) {
    client.setQueryData(one, (held) => held && { ...held, label });
    const relabelled = (item: Feature) => (item.feature === no ? { ...item, label } : item);
    client.setQueriesData<Pages>({ queryKey: ["features", id, sae, "list"] }, (data) => data && { ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.map(relabelled) })) });
  }

  function refresh() {
    void client.invalidateQueries({ queryKey: ["features", id], predicate: ({ queryKey }) => !queryKey.includes("densities") });
  }
}

/** Lets the model label the feature. What it could not do is an error as well. */
export function useAskModel(id: string, sae: string, feature: number) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async () => {
      const { items } = await api<ModelLabels>(`/artifacts/${id}/features/${sae}/labels`, { body: { features: [feature] }, timeout: LABELLING_MS });
      if (items[0]?.error) throw new Error(items[0].error);
    },
    onSuccess: () => client.invalidateQueries({ queryKey: ["features", id, sae] }),
  });
}
