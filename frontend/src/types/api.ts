/** The HTTP and push contracts of the backend. Times are ISO 8601 UTC. */

export type JobState =
  | "waiting"
  | "queued"
  | "running"
  | "pausing"
  | "paused"
  | "cancelling"
  | "completed"
  | "failed"
  | "cancelled";

export type StudyState = "waiting" | "running" | "completed" | "failed" | "cancelled";
export type PhaseState = "pending" | "running" | "completed" | "skipped" | "failed" | (string & {});
export type Liveness = "healthy" | "slow" | "stalled" | "lost";
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export interface Phase {
  name: string;
  title?: string;
  weight: number;
  state: PhaseState;
  percent: number;
  eta_seconds: number | null;
  started_at: string | null;
  finished_at: string | null;
  error?: string | null;
}

export interface Counter {
  unit: string;
  current: number;
  total: number | null;
}

export interface JobError {
  class: string;
  message: string;
  advice: { text: string; config_patch?: JsonObject } | null;
}

export interface Job {
  id: string;
  kind: string;
  name: string | null;
  tags: string[];
  notes: string | null;
  owner: string | null;
  state: JobState;
  attempt: number;
  percent: number;
  phase: string | null;
  phases: Phase[];
  counters: Counter[];
  rate: number | null;
  eta_seconds: number | null;
  eta_low_seconds: number | null;
  eta_high_seconds: number | null;
  liveness: Liveness | null;
  revision: number;
  message: string | null;
  metrics: Record<string, number | null>;
  config: JsonObject;
  resources: JsonObject | null;
  environment: JsonObject | null;
  error: JobError | null;
  study_id: string | null;
  depends_on: string[];
  waiting_for: string[] | string | null;
  retry_of: string | null;
  created_at: string;
  queued_at: string | null;
  started_at: string | null;
  finished_at: string | null;
  updated_at: string;
}

export type StudyJob = Job & { key: string };

export interface StudySummary {
  id: string;
  name: string;
  state: StudyState;
  percent: number;
  eta_seconds: number | null;
  jobs?: StudyJob[];
  created_at: string;
  finished_at: string | null;
}

export type Study = StudySummary & { jobs: StudyJob[] };

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export interface Series {
  name: string;
  steps: number[];
  values: (number | null)[];
  nonfinite?: Record<string, string>;
}

export interface Layer {
  attempt: number;
  resumed_from_step: number | null;
  series: Series[];
}

export interface Metrics {
  job_id: string;
  names: string[];
  series: Series[];
  layers?: Layer[];
  cursor?: string | number | null;
}

export type LogLevel = "debug" | "info" | "warning" | "error" | "critical" | (string & {});

export interface LogLine {
  no: number;
  at: string;
  level: LogLevel;
  text: string;
  attempt: number;
}

export interface LogPage {
  items: LogLine[];
  next: number | null;
}

export interface Checkpoint {
  id: string;
  step: number;
  attempt: number;
  bytes: number;
  best: boolean;
  created_at: string;
  metrics: Record<string, number | null>;
  host: string;
  path: string;
}

export type ArtifactState = "pending" | "ready" | "failed";

export interface Artifact {
  id: string;
  type: string;
  name: string | null;
  job_id: string | null;
  state: ArtifactState;
  bytes: number | null;
  path: string | null;
  host: string | null;
  meta: JsonObject;
  created_at: string;
}

export interface Kind {
  name: string;
  title: string;
  description: string;
  queue: string;
  phases: { name: string; title: string; weight: number | null; optional: boolean }[];
  resources: JsonObject;
  inputs: { name: string; type: string; optional: boolean; title: string }[];
  outputs: { name: string; type: string; title: string }[];
  schema: JsonObject;
  available: boolean;
  unavailable_reason: string | null;
}

export interface Setting {
  name: string;
  value: Json;
  default: Json;
  description: string;
}

export interface Host {
  name: string;
  last_seen_at: string;
  cpus: number;
  memory_mb: number;
  gpus: number | Json[];
  slots: Record<string, number>;
  workers: number | Json[];
}

export interface Session {
  role: string;
  installation: string;
  version: string;
}

/** RFC 9457 problem+json. */
export interface Problem {
  type?: string;
  title: string;
  status: number;
  detail?: string;
  errors?: FieldError[];
}

export interface FieldError {
  field: string;
  message: string;
}

/** Every pushed payload names its channel and its revision. */
export interface Push {
  channel: string;
  revision: number;
  job_id?: string;
}

export type JobPush = Push & { job: Job };
export type LogsPush = Push & { items: LogLine[] };
export type MetricsPush = Push & { attempt: number; points: { name: string; steps: number[]; values: (number | null)[] }[] };
export type CheckpointPush = Push & { checkpoint: Checkpoint };

export type SubscribeReply = { ok: true; channel: string; snapshot: unknown } | { ok: false; error: string };
