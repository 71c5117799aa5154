import { afterEach, expect, test, vi } from "vitest";
import { sendFiles, suffixes, usable } from "./upload";

afterEach(() => vi.unstubAllGlobals());

const answer = (body: object, status = 200): Response => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

/** A server that keeps what arrives, and breaks the second part off in its middle. */
function server(partBytes: number, total: number) {
  const calls: string[] = [];
  let received = 0;
  let parts = 0;
  const state = () => ({ id: "u", state: "receiving", bytes: total, received, part_bytes: partBytes, files: [{ path: "a.csv", bytes: total, received }] });
  vi.stubGlobal("fetch", async (url: string, options: RequestInit) => {
    calls.push(`${options.method} ${url.replace("/api/v1", "")}`);
    if (options.method === "PUT") {
      if (++parts === 2) {
        received += 1;
        throw new TypeError("cut");
      }
      received += (options.body as Blob).size;
      return answer({ path: "a.csv", bytes: total, received });
    }
    return url.endsWith("/finish") ? answer({ id: "u", state: "ready" }) : answer(state());
  });
  return calls;
}

test("a part that broke off is gone on with from where it had arrived", async () => {
  const calls = server(4, 10);
  const seen: number[] = [];
  const file = new File(["0123456789"], "a.csv");
  const sending = { signal: new AbortController().signal, onProgress: (arrived: number) => seen.push(arrived) };
  const artifact = await sendFiles("dataset", new Map([["a.csv", file]]), sending);
  expect(artifact.state).toBe("ready");
  expect(seen).toEqual([4, 5, 9, 10]);
  expect(calls.filter((call) => call.startsWith("PUT")).map((call) => call.split("offset=")[1])).toEqual(["0", "4", "5", "9"]);
});

test("an upload that the server refuses is given up there", async () => {
  const calls: string[] = [];
  vi.stubGlobal("fetch", async (_url: string, { method }: RequestInit) => {
    calls.push(method ?? "");
    if (method === "PUT") return answer({ title: "Disk full", status: 507, detail: "no room" }, 507);
    return answer({ id: "u", bytes: 1, received: 0, part_bytes: 8, files: [{ path: "a.csv", bytes: 1, received: 0 }] });
  });
  const sending = { signal: new AbortController().signal, onProgress: () => undefined };
  await expect(sendFiles("dataset", new Map([["a.csv", new File(["x"], "a.csv")]]), sending)).rejects.toThrow("no room");
  expect(calls).toEqual(["POST", "PUT", "DELETE"]);
});

test("a folder's files keep their path below it, and what no pattern names is left out", () => {
  const at = (path: string) => Object.defineProperty(new File(["x"], path.split("/").at(-1)!), "webkitRelativePath", { value: path });
  const kept = usable([at("photos/a/one.jpg"), at("photos/two.jpg"), at("photos/.hidden.jpg"), at("photos/notes.doc")], ["*.jpg", "*.tar.gz"]);
  expect([...kept.keys()]).toEqual(["a/one.jpg", "two.jpg"]);
  expect(suffixes(["*.csv", "*.jsonl.gz", "LICENSE*"])).toBe(".csv,.gz");
});
