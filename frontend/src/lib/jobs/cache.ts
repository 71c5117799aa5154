import { type InfiniteData, type QueryClient, replaceEqualDeep } from "@tanstack/react-query";
import { newest, newestItems, patchItem } from "@/lib/live/newest";
import type { Job, Page, Study } from "@/types/api";

export type JobPages = InfiniteData<Page<Job>, string | null>;

/** Where jobs and studies stand in the query cache. */
export const keys = {
  job: (id: string) => ["job", id] as const,
  jobs: ["jobs"] as const,
  jobList: (filter: object) => ["jobs", filter] as const,
  study: (id: string) => ["study", id] as const,
  studies: ["studies"] as const,
};

/** Writes a pushed job wherever the cache shows it. True if a list or study may now be out of date as a whole. */
export function applyJob(client: QueryClient, job: Job): boolean {
  client.setQueryData<Job>(keys.job(job.id), (held) => held && newest(held, job));
  client.setQueriesData<Study>({ queryKey: ["study"] }, (study) => study && patchStudy(study, job));
  const lists = client.getQueriesData<JobPages>({ queryKey: keys.jobs });
  const held = lists.flatMap(([, data]) => data?.pages.flatMap((page) => page.items) ?? []).find((item) => item.id === job.id);
  client.setQueriesData<JobPages>({ queryKey: keys.jobs }, (data) => data && patchPages(data, job));
  return held?.state !== job.state;
}

/** A list read by REST, kept from taking back what was pushed meanwhile; the very same list if nothing changed. */
export function mergePages(held: JobPages | undefined, incoming: JobPages): JobPages {
  const known = held?.pages.flatMap((page) => page.items) ?? [];
  const merged = { ...incoming, pages: incoming.pages.map((page) => ({ ...page, items: newestItems(known, page.items) })) };
  return replaceEqualDeep(held, merged) as JobPages;
}

/** A study read by REST, its jobs kept newest. */
export function mergeStudy(held: Study | undefined, incoming: Study): Study {
  return replaceEqualDeep(held, { ...incoming, jobs: newestItems(held?.jobs ?? [], incoming.jobs) }) as Study;
}

function patchPages(data: JobPages, job: Job): JobPages {
  let changed = false;
  const pages = data.pages.map((page) => {
    const items = patchItem(page.items, job);
    if (items === page.items) return page;
    changed = true;
    return { ...page, items: [...items] };
  });
  return changed ? { ...data, pages } : data;
}

function patchStudy(study: Study, job: Job): Study {
  const held = study.jobs.find((item) => item.id === job.id);
  if (!held) return study;
  const jobs = patchItem(study.jobs, { ...job, key: held.key });
  return jobs === study.jobs ? study : { ...study, jobs: [...jobs] };
}
