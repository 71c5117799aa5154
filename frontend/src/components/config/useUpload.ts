import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { messageOf } from "@/lib/api/errors";
import { type Accepted, sendFiles, usable } from "@/lib/api/upload";
import type { Artifact } from "@/types/api";

interface Sent {
  arrived: number;
  total: number;
}

/** One upload at a time; it ends with the form that began it. */
export function useUpload(type: string, accepted: Accepted, onDone: (artifact: Artifact) => void) {
  const client = useQueryClient();
  const [sent, setSent] = useState<Sent | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const under = useRef<AbortController | null>(null);
  useEffect(() => () => under.current?.abort(), []);

  const send = async (chosen: File[]) => {
    const files = usable(chosen, accepted.patterns);
    if (files.size === 0) return setTrouble(chosen.length ? `It takes ${accepted.patterns.join(", ")}.` : null);
    const controller = (under.current = new AbortController());
    const onProgress = (arrived: number, total: number) => setSent({ arrived, total });
    setTrouble(null);
    onProgress(0, [...files.values()].reduce((sum, file) => sum + file.size, 0));
    try {
      const artifact = await sendFiles(type, files, { signal: controller.signal, onProgress });
      await client.invalidateQueries({ queryKey: ["artifacts"] });
      onDone(artifact);
    } catch (error) {
      if (!controller.signal.aborted) setTrouble(messageOf(error));
    }
    setSent(null);
  };
  return { sent, trouble, send: (files: File[]) => void send(files), cancel: () => under.current?.abort() };
}
