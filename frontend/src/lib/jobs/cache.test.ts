import { QueryClient } from "@tanstack/react-query";
import { describe, expect, test } from "vitest";
import { makeQueryClient } from "@/lib/api/queryClient";
import type { Job, Study } from "@/types/api";
import { type JobPages, applyJob, keys, mergePages } from "./cache";

const job = (revision: number, rest: Partial<Job> = {}) => ({ id: "a", revision, state: "running", percent: revision, ...rest }) as Job;
const pages = (...items: Job[]): JobPages => ({ pages: [{ items, next_cursor: null }], pageParams: [null] });

describe("the cache of jobs", () => {
  test("a pushed job shows wherever it stands: its page, the lists, its study", () => {
    const client = new QueryClient();
    client.setQueryData(keys.job("a"), job(1));
    client.setQueryData(keys.jobList({ state: "running" }), pages(job(1)));
    client.setQueryData(keys.study("s"), { id: "s", jobs: [{ ...job(1), key: "train" }] } as Study);
    applyJob(client, job(2));
    expect(client.getQueryData<Job>(keys.job("a"))?.revision).toBe(2);
    expect(client.getQueryData<JobPages>(keys.jobList({ state: "running" }))?.pages[0]?.items[0]?.revision).toBe(2);
    expect(client.getQueryData<Study>(keys.study("s"))?.jobs[0]).toMatchObject({ revision: 2, key: "train" });
  });

  test("a read that was overtaken by a push does not take it back", async () => {
    const client = makeQueryClient();
    client.setQueryData(keys.job("a"), job(9, { state: "completed" }));
    await client.fetchQuery({ queryKey: keys.job("a"), queryFn: () => job(8) });
    expect(client.getQueryData<Job>(keys.job("a"))?.state).toBe("completed");
  });

  test("only a change of state or a job not seen before makes lists out of date", () => {
    const client = new QueryClient();
    client.setQueryData(keys.jobList({}), pages(job(1)));
    expect(applyJob(client, job(2))).toBe(false);
    expect(applyJob(client, job(3, { state: "completed" }))).toBe(true);
    expect(applyJob(client, job(1, { id: "new" }))).toBe(true);
  });

  test("a list read again without a change is the very same list", () => {
    const held = pages(job(1));
    expect(mergePages(held, pages(job(1)))).toBe(held);
  });
});
