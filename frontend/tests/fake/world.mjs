// A small world of jobs that move by themselves: enough of the contracts to look at every page.

const KINDS = ["model.download", "dataset.download", "dataset.tokenize", "activations.extract", "sae.train"];
const ID_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789";
const iso = (at = Date.now()) => new Date(at).toISOString();
let seed = 7;
const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
export const newId = () => Array.from({ length: 12 }, () => ID_LETTERS[Math.floor(random() * 32)]).join("");

const phase = (name, title, weight, rest = {}) => ({
  name, title, weight, state: "pending", percent: 0, eta_seconds: null, started_at: null, finished_at: null, error: null, ...rest,
});

export function job(rest = {}) {
  const created = Date.now() - 900_000;
  return {
    id: newId(), kind: "sae.train", name: null, tags: [], notes: null, owner: "admin", state: "queued", attempt: 0, percent: 0, phase: null,
    phases: [], counters: [], rate: null, rate_unit: "step", queue: "cpu", eta_seconds: null, eta_low_seconds: null, eta_high_seconds: null, liveness: null, revision: 1,
    message: null, metrics: {}, config: {}, resources: {}, environment: null, error: null, study_id: null, depends_on: [], waiting_for: null,
    retry_of: null, created_at: iso(created), queued_at: iso(created), started_at: null, finished_at: null, updated_at: iso(), ...rest,
  };
}

const done = (name, title, weight, from, to) =>
  phase(name, title, weight, { state: "completed", percent: 100, started_at: iso(from), finished_at: iso(to) });

export const SAE_CONFIG = {
  activations: "artifact:k2m8qhx4tn7v", d_sae: 3072, k: 32, batch_size: 4096, epochs: 3, seed: 0,
  optimizer: { name: "adam", lr: 0.0003, warmup_steps: 100 }, normalize: true, layers: [3, 5],
};
const ENVIRONMENT = {
  python: "3.11.2", torch: "2.13.0", command: "headway.jobs.process", commit: "3f2a9c1", host: "alder", cpu: "AMD EPYC 7763", threads: 2, gpus: [],
};

function training(now) {
  const started = now - 312_000;
  return job({
    kind: "sae.train", name: "MiniLM layer 3 and 5, k = 32", state: "running", attempt: 2, phase: "training", liveness: "healthy",
    tags: ["minilm"], config: SAE_CONFIG, environment: ENVIRONMENT, resources: { gpus: 0, cpu_threads: 2, memory_mb: 2048 },
    started_at: iso(started), message: "resumed from step 2,000 after the worker was lost", revision: 500,
    phases: [
      done("initializing", "Initializing", 0.03, started, started + 9_000),
      phase("training", "Training", 0.82, { state: "running", started_at: iso(started + 9_000) }),
      phase("evaluating", "Evaluating", 0.1, { eta_seconds: 48, percent: 33.33 }),
      phase("saving", "Saving", 0.05, { eta_seconds: 12 }),
    ],
  });
}

export const METRICS = ["loss", "fvu", "l0", "dead_fraction", "grad_norm", "learning_rate", "rows_per_second"];

/** The value of a metric at a step: a function of the step, so that a curve is the same however it is asked for. */
export function valueAt(name, step, attempt = 2) {
  const noise = Math.sin(step * 12.9898 + name.length * 78.233 + attempt) * 43758.5453;
  const n = noise - Math.floor(noise) - 0.5;
  const decay = Math.exp(-step / 900);
  if (name === "grad_norm" && step % 997 === 0 && step) return null;
  return {
    loss: 0.118 + 0.9 * decay + n * (0.02 + 0.06 * decay),
    fvu: 0.21 + 0.7 * decay + n * 0.015,
    l0: 32 + n * 0.4,
    dead_fraction: 0.02 + 0.2 * (1 - Math.exp(-step / 600)) * Math.exp(-step / 2500) + n * 0.004,
    grad_norm: 0.3 + 1.8 * decay + Math.abs(n) * 0.3,
    learning_rate: step < 300 ? (3e-4 * step) / 300 : 3e-4 * (1 - step / 12_000),
    rows_per_second: 38_000 + n * 4_000,
  }[name];
}

/** All jobs, studies and what belongs to them, and the clock that moves them. */
export class World {
  steps = 4000;
  totalSteps = 9000;
  stepsPerTick = 3;

  constructor() {
    const now = Date.now();
    this.running = training(now);
    this.study = { id: newId(), name: "MiniLM SAE study", state: "running", created_at: iso(now - 420_000), finished_at: null };
    const pipeline = this.pipeline(now);
    this.study.jobs = [...pipeline, { ...this.running, key: "train" }, { key: "evaluate", ...this.waiting() }];
    this.jobs = [...this.study.jobs.slice().reverse(), ...this.others(now)];
    this.running = this.jobs.find((item) => item.key === "train");
    this.running.study_id = this.study.id;
    this.logs = new Map();
    for (let no = 1; no <= 140; no += 1) this.addLog(this.running, no * 28);
    this.move();
  }

  pipeline(now) {
    const names = ["all-MiniLM-L6-v2", "Python documentation", "contexts of 128", "layers 3 and 5"];
    const counters = [
      [{ unit: "bytes", current: 90_868_376, total: 90_868_376 }], [{ unit: "bytes", current: 24_300_120, total: 24_300_120 }],
      [{ unit: "document", current: 1_842, total: 1_842 }], [{ unit: "batch", current: 612, total: 612 }],
    ];
    return KINDS.slice(0, 4).map((kind, i) => {
      const from = now - 420_000 + i * 26_000;
      return {
        key: ["model", "text", "tokens", "activations"][i],
        ...job({
          kind, name: names[i], state: "completed", attempt: 1, percent: 100, study_id: "", started_at: iso(from), finished_at: iso(from + 21_000 + i * 800),
          updated_at: iso(from + 21_000), counters: counters[i], revision: 90,
          phases: [done("loading", "Loading", 0.1, from, from + 2000), done("working", "Working", 0.8, from + 2000, from + 18_000), done("saving", "Saving", 0.1, from + 18_000, from + 21_000)],
        }),
      };
    });
  }

  waiting() {
    return job({ kind: "sae.evaluate", name: "evaluation", state: "waiting", waiting_for: [this.running.id], phases: [] });
  }

  others(now) {
    const failedAt = now - 3_600_000;
    return [
      job({ kind: "probe.work", name: "smoke probe", state: "queued" }),
      job({
        kind: "sae.train", name: "GPT-2 layer 8, d_sae 24,576", state: "failed", attempt: 1, percent: 37.42, config: SAE_CONFIG, environment: ENVIRONMENT,
        started_at: iso(failedAt - 1_200_000), finished_at: iso(failedAt), updated_at: iso(failedAt), phase: "training", counters: [{ unit: "epoch", current: 1, total: 3 }, { unit: "step", current: 1204, total: 9000 }],
        phases: [done("initializing", "Initializing", 0.03, failedAt - 1_200_000, failedAt - 1_190_000), phase("training", "Training", 0.82, { state: "failed", percent: 42, started_at: iso(failedAt - 1_190_000) }), phase("evaluating", "Evaluating", 0.1), phase("saving", "Saving", 0.05)],
        error: {
          class: "OOM", message: "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 12884901888 bytes.",
          advice: { text: "Halve batch_size to 2048 and accumulate gradients over 2 batches: the result is the same, the memory half.", config_patch: { batch_size: 2048 } },
        },
      }),
      job({ kind: "sae.train", name: "MiniLM sweep, k = 64", state: "paused", attempt: 1, percent: 61.08, started_at: iso(now - 9_000_000), phases: [phase("initializing", "Initializing", 0.03, { state: "completed", percent: 100 }), phase("training", "Training", 0.97, { state: "running", percent: 60 })], phase: "training", counters: [{ unit: "epoch", current: 2, total: 3 }, { unit: "step", current: 2310, total: 3000 }] }),
      job({ kind: "dpo.train", name: "preference pairs, typos", state: "cancelled", attempt: 1, percent: 12.5, started_at: iso(now - 90_000_000), finished_at: iso(now - 88_000_000), phases: [phase("training", "Training", 1, { percent: 12.5 })] }),
      ...Array.from({ length: 7 }, (_, i) => {
        const from = now - 86_400_000 * (i + 1);
        return job({
          kind: i % 3 ? "sae.train" : "probe.work", name: i % 3 ? `MiniLM sweep, k = ${16 * (i + 1)}` : null, state: "completed", attempt: 1, percent: 100,
          started_at: iso(from), finished_at: iso(from + 733_000 + i * 41_000), updated_at: iso(from), counters: [{ unit: "epoch", current: 3, total: 3 }, { unit: "step", current: 9000, total: 9000 }],
          config: { ...SAE_CONFIG, k: 16 * (i + 1) }, metrics: Object.fromEntries(METRICS.map((name) => [name, valueAt(name, 9000, i)])),
          phases: [done("training", "Training", 0.85, from, from + 600_000), done("saving", "Saving", 0.15, from + 600_000, from + 733_000)],
        });
      }),
    ];
  }

  addLog(target, step) {
    const lines = this.logs.get(target.id) ?? [];
    const no = lines.length + 1;
    const level = no % 37 === 0 ? "warning" : no % 91 === 0 ? "error" : no % 9 === 0 ? "debug" : "info";
    const text = {
      info: `step ${step}: loss ${(valueAt("loss", step) ?? 0).toFixed(4)}, fvu ${(valueAt("fvu", step) ?? 0).toFixed(4)}`,
      warning: "12 features have not fired for 1,000 steps", error: "checkpoint upload refused, kept on this host", debug: "shuffled rows of shard 3 by memory map",
    }[level];
    const line = { no, at: iso(), level, text, attempt: target.attempt };
    this.logs.set(target.id, [...lines, line]);
    return line;
  }

  /** One tick: what is running goes on. */
  move() {
    const now = this.running;
    if (now.state !== "running") return [];
    const from = this.steps + 1;
    this.steps = Math.min(this.totalSteps, this.steps + this.stepsPerTick);
    const part = this.steps / this.totalSteps;
    const [, trainingPhase] = now.phases;
    trainingPhase.percent = Math.floor(part * 10_000) / 100;
    trainingPhase.eta_seconds = (this.totalSteps - this.steps) / 30;
    const eta = trainingPhase.eta_seconds + 60;
    Object.assign(now, {
      percent: Math.floor((3 + 82 * part) * 100) / 100, revision: now.revision + 1, updated_at: iso(), rate: 29.4 + Math.sin(this.steps / 40),
      eta_seconds: eta, eta_low_seconds: eta * 0.88, eta_high_seconds: eta * 1.17,
      counters: [{ unit: "epoch", current: Math.floor(part * 3), total: 3 }, { unit: "step", current: this.steps % 3000, total: 3000 }],
      metrics: Object.fromEntries(METRICS.map((name) => [name, valueAt(name, this.steps)])),
    });
    return Array.from({ length: this.steps - from + 1 }, (_, i) => from + i);
  }

  studyNow() {
    const jobs = this.study.jobs.map((item) => this.jobs.find((known) => known.id === item.id));
    return { ...this.study, jobs, percent: jobs.reduce((sum, item) => sum + item.percent, 0) / jobs.length, eta_seconds: this.running.eta_seconds + 90 };
  }
}
