import type { Artifact } from "@/types/api";
import type { components } from "@/types/openapi";
import { api } from "./client";
import { ApiError } from "./errors";

type Upload = components["schemas"]["UploadView"];
type Arriving = components["schemas"]["ArrivingFile"];

/** Which files a field takes: glob patterns of their names, and whether a folder of them. */
export type Accepted = components["schemas"]["AcceptedView"];

interface Sending {
  signal: AbortSignal;
  /** Bytes that have arrived, of how many. */
  onProgress: (arrived: number, total: number) => void;
}

/** A part may be slow; what has arrived of it stays even if it is given up. */
const PART_TIMEOUT_MS = 120_000;
/** The server hashes what has arrived before it calls it an artifact, and is asked again until it has. */
const CHECK_MS = 1_800_000;
const CHECK_EVERY_MS = 1_000;
const TRIES = 6;
/** What a later call may mend: the server busy or away, a part not where it was expected. */
const PASSING = new Set([0, 408, 409, 502, 503, 504]);

/** Sends files as one upload, in parts that are gone on with where they broke off; answers the artifact made of them. */
export async function sendFiles(type: string, files: Map<string, File>, { signal, onProgress }: Sending): Promise<Artifact> {
  const announced = [...files].map(([path, file]) => ({ path, bytes: file.size }));
  const begun = await api<Upload>("/uploads", { body: { type, files: announced }, signal });
  try {
    let before = 0;
    for (const arriving of begun.files) {
      await sendFile(begun, arriving, files.get(arriving.path)!, { signal, onProgress: (received) => onProgress(before + received, begun.bytes) });
      before += arriving.bytes;
    }
    return await finish(begun.id, signal);
  } catch (error) {
    void api(`/uploads/${begun.id}`, { method: "DELETE" }).catch(() => undefined);
    throw error;
  }
}

async function sendFile(upload: Upload, { path, bytes }: Arriving, file: File, { signal, onProgress }: Sending): Promise<void> {
  let received = 0;
  let failures = 0;
  while (received < bytes) {
    const content = file.slice(received, received + upload.part_bytes);
    try {
      const query = { path, offset: received };
      ({ received } = await api<Arriving>(`/uploads/${upload.id}/file`, { method: "PUT", query, content, timeout: PART_TIMEOUT_MS, signal }));
      failures = 0;
    } catch (error) {
      if (!isPassing(error) || ++failures === TRIES) throw error;
      await pause(200 * 2 ** failures, signal);
      received = await arrivedOf(upload.id, path, received, signal);
    }
    onProgress(received, bytes);
  }
}

/** As far as it was known where nobody answers now. */
async function arrivedOf(id: string, path: string, known: number, signal: AbortSignal): Promise<number> {
  const state = await api<Upload>(`/uploads/${id}`, { signal }).catch((error: unknown) => {
    if (isPassing(error)) return null;
    throw error;
  });
  return state?.files.find((file) => file.path === path)?.received ?? known;
}

async function finish(id: string, signal: AbortSignal): Promise<Artifact> {
  const deadline = Date.now() + CHECK_MS;
  for (;;) {
    try {
      return await api<Artifact>(`/uploads/${id}/finish`, { body: {}, signal });
    } catch (error) {
      const again = isPassing(error) && (error as ApiError).status !== 409;
      if (!again || Date.now() > deadline) throw error;
      await pause(CHECK_EVERY_MS, signal);
    }
  }
}

const isPassing = (error: unknown): boolean => error instanceof ApiError && PASSING.has(error.status);

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}

/** The chosen files by their path in the upload, those of no such name left out; a folder's own name is not in the path. */
export function usable(chosen: Iterable<File>, patterns: string[]): Map<string, File> {
  const tests = patterns.map(patternTest);
  const kept = [...chosen].filter(({ name }) => !name.startsWith(".") && tests.some((test) => test.test(name)));
  return new Map(kept.map((file) => [file.webkitRelativePath.split("/").slice(1).join("/") || file.name, file]));
}

/** `*.csv` as a test; upper and lower case differ, as they do on the server. */
function patternTest(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*");
  return new RegExp(`^${escaped}$`);
}

/** For a file chooser: the suffixes among the patterns. */
export const suffixes = (patterns: string[]): string => patterns.filter((pattern) => pattern.startsWith("*.")).map((pattern) => `.${pattern.split(".").at(-1)}`).join(",");
