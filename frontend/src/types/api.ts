/** The contracts of the backend: HTTP from its OpenAPI document (openapi.ts is generated), pushes beside it. */

import type { components } from "./openapi";

type Schemas = components["schemas"];
type With<T, Changes> = Omit<T, keyof Changes> & Changes;

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export type JobState = Schemas["JobState"];
export type StudyState = "waiting" | "running" | "completed" | "failed" | "cancelled";
export type Liveness = "healthy" | "slow" | "stalled" | "lost";

export type Phase = Schemas["PhaseView"];
export type Counter = Schemas["CounterView"];
export type JobError = Schemas["ErrorView"];

interface JobChanges {
  liveness: Liveness | null;
  config: JsonObject;
  resources: JsonObject;
  environment: JsonObject | null;
}

export type Job = With<Schemas["JobView"], JobChanges>;
export type StudyJob = With<Schemas["StudyJobView"], JobChanges>;
export type Study = With<Schemas["StudyView"], { state: StudyState; jobs: StudyJob[] }>;

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export type Forecast = Schemas["ForecastView"];

export type Series = Schemas["SeriesView"];
export type Layer = Schemas["LayerView"];
export type Attempt = Schemas["AttemptView"];
export type Metrics = Schemas["MetricsView"];
export type LogLine = Schemas["LogLine"];
export type LogPage = Schemas["LogsView"];
export type Checkpoint = Schemas["CheckpointView"];
export type Artifact = Schemas["ArtifactView"];
export type Kind = With<Schemas["KindView"], { schema: JsonObject }>;
export type Setting = With<Schemas["SettingView"], { value: Json; default: Json }>;
export type Host = Schemas["HostView"];
export type Operations = With<Schemas["OperationsView"], { active: Job[] }>;
export type Session = Schemas["SessionView"];

/** RFC 9457 problem+json; what stands between may answer with less. */
export type Problem = Partial<Schemas["Problem"]> & Pick<Schemas["Problem"], "title" | "status">;
export type FieldError = Schemas["FieldError"];

/** Every pushed payload names its channel and its revision. */
export interface Push {
  channel: string;
  revision: number;
  job_id?: string;
}

export type JobPush = Push & { job: Job };
/** A worker came or went. */
export type WorkersPush = Push & { worker: string; host: string; change: "joined" | "left"; job?: undefined };
/** What the channel `operations` carries. */
export type OperationsPush = JobPush | WorkersPush;
export type LogsPush = Push & { items: LogLine[] };
/** `reset` says that there were too many points to push: read them by REST. */
export type MetricsPush = Push & { attempt: number; reset?: boolean; points: { name: string; steps: number[]; values: (number | null)[] }[] };
export type CheckpointPush = Push & { checkpoint: Checkpoint };

export type SubscribeReply = { ok: true; channel: string; snapshot: unknown; reset?: boolean } | { ok: false; error: string };

export type Comparison = Schemas["CompareView"];
export type ComparedMetric = Schemas["ComparedMetricView"];
export type HistoryPoint = Schemas["HistoryPoint"];

export type HostHistory = Schemas["HostHistory"];
export type HostNow = Schemas["HostNowView"];
export type JobResources = Schemas["JobResources"];

/** A GPU beside its gauges, as the monitor tells it. */
export interface GpuFacts {
  index: number;
  name: string | null;
  uuid: string | null;
  throttle_reasons: string[] | null;
  processes: { pid: number; memory_bytes: number | null; utilisation_percent: number | null }[];
}

export type SystemPush = Push & { host: string; at: string; gauges: Record<string, number>; gpu?: GpuFacts };

/** What a job used when it was last measured: the key `used` of its resources. */
export interface JobUsed {
  at: string;
  host: string;
  attempt: number;
  cpu_cores: number;
  memory_bytes: number;
  read_bytes_per_second: number | null;
  written_bytes_per_second: number | null;
  gpu_percent: number | null;
  gpu_memory_bytes: number | null;
  processes: number;
  estimated: boolean;
}

export type JobUsedPush = Push & { used: JobUsed };

export type Configuration = Schemas["ConfigurationView"];
export interface EquityCurve {
  times: number[];
  values: number[];
}
export interface TestedWindow {
  train_from: string;
  test_from: string;
  test_to: string;
  parameters: Record<string, number> | null;
  in_sample: number;
  out_of_sample: number;
  return_percent: number;
  trades: number;
}
export interface ConfigurationResults {
  curves: Record<string, EquityCurve>;
  in_sample: Configuration["in_sample"];
  out_of_sample?: Configuration["in_sample"];
  walk_forward: ({ windows: TestedWindow[] } & Record<string, unknown>) | null;
  data_sha256: string;
  candles: number;
  from: string;
  split: string;
  to: string;
}
export type WholeConfiguration = With<Schemas["WholeConfigurationView"], { config: JsonObject; results: ConfigurationResults }>;
export type ComparedConfigurations = With<Schemas["ComparedConfigurationsView"], { items: WholeConfiguration[] }>;

export type FeatureIndex = Schemas["FeatureIndexView"];
export type IndexedSae = Schemas["IndexedSaeView"];
export type Feature = Schemas["FeatureView"];
export type FeaturesPage = Schemas["FeaturesPage"];
export type WholeFeature = Schemas["WholeFeatureView"];
export type FeatureExample = Schemas["ExampleView"];
export type FeatureLabel = Schemas["LabelView"];
export type ModelLabels = Schemas["ModelLabelsView"];

/** How many features fire how often, between 10 to the edges; from an index as from an evaluation. */
export type Densities = Pick<Schemas["DensitiesView"], "log10_edges" | "counts" | "never">;
