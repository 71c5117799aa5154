// What the fake server answers by REST, path by path.

import { METRICS, SAE_CONFIG, job, newId, valueAt } from "./world.mjs";

export const TOKEN = "fake-token";
const problem = (status, title, detail, errors) => [status, { type: "about:blank", title, status, detail, errors }];
const found = (item) => (item ? [200, item] : problem(404, "Not found", "There is no such job here."));

const SCHEMA = {
  type: "object", title: "SaeTrainConfig", required: ["activations"], additionalProperties: false,
  $defs: {
    Fail: {
      type: "object", title: "Fail", required: ["step"],
      properties: { step: { type: "integer", minimum: 1, title: "Step" }, attempts: { type: "integer", minimum: 1, default: 1, title: "Attempts" } },
    },
    Optimizer: {
      type: "object", title: "Optimizer", description: "How the weights are moved",
      properties: {
        name: { type: "string", enum: ["adam", "sgd"], default: "adam", title: "Name", description: "The method" },
        lr: { type: "number", exclusiveMinimum: 0, maximum: 1, default: 0.0003, title: "Learning rate", description: "Step size after the warm-up" },
        warmup_steps: { type: "integer", minimum: 0, default: 100, title: "Warm-up steps", description: "Steps over which the rate rises" },
      },
    },
  },
  properties: {
    activations: { type: "string", title: "Activations", description: "The store to train on", "x-input": "activations" },
    d_sae: { type: "integer", minimum: 16, maximum: 1048576, default: 3072, title: "Dictionary size", description: "Number of features" },
    k: { type: "integer", minimum: 1, maximum: 1024, default: 32, title: "k", description: "Features active for each row" },
    batch_size: { type: "integer", minimum: 1, maximum: 1048576, default: 4096, title: "Batch size", description: "Rows a step" },
    epochs: { type: "integer", minimum: 1, maximum: 1000, default: 3, title: "Epochs", description: "Passes over the store" },
    seed: { anyOf: [{ type: "integer", minimum: 0 }, { type: "null" }], default: null, title: "Seed", description: "Same seed, same run; chosen for you if empty" },
    normalize: { type: "boolean", default: true, title: "Normalize", description: "Scale rows to unit mean square first" },
    fail_at: { anyOf: [{ $ref: "#/$defs/Fail" }, { type: "null" }], default: null, title: "Fail at", description: "A failure on request, `for tests`." },
    optimizer: { $ref: "#/$defs/Optimizer" },
    layers: { type: "array", items: { type: "integer", minimum: 0 }, default: [3, 5], title: "Layers", description: "One SAE is trained for each" },
  },
};

const kind = (name, title, description, inputs, outputs, rest = {}) => ({
  name, title, description, queue: "cpu", phases: [], resources: { gpus: 0, cpu_threads: 2, memory_mb: 2048 },
  inputs: inputs.map((type) => ({ name: type, type, optional: false, title: type })), outputs: outputs.map((type) => ({ name: type, type, title: type })),
  schema: SCHEMA, available: true, unavailable_reason: null, ...rest,
});

export const ALL_KINDS = [
  kind("model.download", "Download a model", "Fetch a model from a hub or a local folder; resumes where it stopped and checks every file.", [], ["model"], { queue: "io" }),
  kind("dataset.download", "Download a dataset", "Fetch text from a hub or a local folder.", [], ["dataset"], { queue: "io" }),
  kind("dataset.tokenize", "Tokenize", "Pack text into contexts of one length, memory-mapped.", ["model", "dataset"], ["tokens"]),
  kind("activations.extract", "Extract activations", "Run a model once and store what its layers say at chosen hooks.", ["model", "tokens"], ["activations"]),
  kind("sae.train", "Train SAEs", "Train sparse autoencoders, several from each pass over the activations.", ["activations"], ["sae"]),
  kind("dpo.train", "Preference tuning", "Direct preference optimization.", ["model", "dataset"], ["model"], { available: false, unavailable_reason: "Needs the package trl, which is not installed here." }),
  kind("probe.work", "Probe", "Checks an installation with real work on the CPU.", [], []),
];

const artifact = (type, name, bytes, state = "ready") => ({
  id: newId(), type, name, job_id: newId(), state, bytes, path: `artifacts/${type}/${name}`, host: "alder", meta: {}, created_at: new Date(Date.now() - 400_000).toISOString(),
});
export const ARTIFACTS = [
  artifact("model", "all-MiniLM-L6-v2", 90_868_376), artifact("dataset", "Python documentation", 24_300_120), artifact("tokens", "contexts of 128", 18_220_032),
  artifact("activations", "layers 3 and 5", 1_420_032_000), artifact("sae", "MiniLM layer 3, k = 32", null, "pending"),
];

const SETTINGS = [
  ["HEADWAY_DATA_DIR", "/var/lib/headway", "~/.local/share/headway", "Where everything is kept"], ["HEADWAY_HOST", "127.0.0.1", "127.0.0.1", "The address the API listens on"],
  ["HEADWAY_PORT", 8400, 8400, "The port the API listens on"], ["HEADWAY_TOKEN", null, null, "The access token; made at the first start if not set"],
  ["WEBSOCKET_BATCH_INTERVAL_MS", 100, 100, "Updates of one job within this time become one; 0 sends each"], ["TRAINING_METRIC_ARCHIVE_DAYS", 14, 30, "Metric weeks older than this are archived"],
].map(([name, value, preset, description]) => ({ name, value, default: preset, description }));

function series(name, from, to, attempt, points) {
  const every = Math.max(1, Math.ceil((to - from) / points));
  const steps = Array.from({ length: Math.floor((to - from) / every) + 1 }, (_, i) => from + i * every);
  const values = steps.map((step) => valueAt(name, step, attempt));
  const nonfinite = Object.fromEntries(values.flatMap((value, i) => (value === null ? [[i, "NaN"]] : [])));
  return { name, steps, values, nonfinite };
}

function metrics(world, id, query) {
  const target = world.jobs.find((item) => item.id === id);
  if (target?.id !== world.running.id) return [200, { job_id: id, names: [], series: [], layers: [], attempts: [], cursor: {} }];
  const points = Number(query.get("max_points") ?? 1000);
  const layers = [{ attempt: 1, resumed_from_step: null, series: METRICS.map((name) => series(name, 2000, 2600, 1, 200)) }];
  return [200, { job_id: id, names: METRICS, series: METRICS.map((name) => series(name, 0, world.steps, 2, points)), layers, attempts: [{ number: 1, resumed_from_step: null }, { number: 2, resumed_from_step: 2000 }], cursor: { [world.running.attempt]: world.steps } }];
}

function checkpoints(world, id) {
  if (id !== world.running.id) return [200, { items: [] }];
  const items = [1000, 2000, 3000, 4000].map((step) => ({
    id: newId(), step, attempt: step > 2000 ? 2 : 1, bytes: 9_466_112, best: step === 4000, created_at: new Date(Date.now() - (5000 - step) * 90).toISOString(),
    metrics: { loss: valueAt("loss", step) }, host: "alder", path: `checkpoints/${step}`,
  }));
  return [200, { items }];
}

function submit(world, body) {
  const errors = [];
  if (body.config?.k === 13) errors.push({ field: "config.k", message: "must divide the dictionary size; try 16" });
  if (body.config?.optimizer?.lr === 1) errors.push({ field: "config.optimizer.lr", message: "diverges for certain; try 0.001" });
  if (errors.length) return problem(422, "The config is not valid", "Two fields need another value.", errors);
  const made = job({ kind: body.kind, name: body.name ?? null, config: { ...SAE_CONFIG, ...body.config } });
  world.jobs.unshift(made);
  return [201, made];
}

function act(world, id, action, body) {
  const target = world.jobs.find((item) => item.id === id);
  if (!target) return found(null);
  if (action === "retry") return submit(world, { ...target, config: { ...target.config, ...(body.advised && target.error.advice.config_patch), ...body.config } });
  target.state = { cancel: "cancelled", pause: "paused", resume: "running" }[action];
  target.revision += 1;
  return [200, target];
}

function list(world, query) {
  const match = (item) =>
    (!query.get("state") || query.get("state").split(",").includes(item.state)) && (!query.get("kind") || item.kind === query.get("kind")) &&
    (!query.get("q") || `${item.name} ${item.id}`.toLowerCase().includes(query.get("q").toLowerCase()));
  return [200, { items: world.jobs.filter(match), next_cursor: null }];
}

const PHASES = ["initializing", "training", "saving"];
const TOTAL = 9000;

/** Where the nth of some jobs stood over time: each is a quarter slower than the one before, and the first is not over. */
function history(nth) {
  const pace = 24 / (1 + nth / 4);
  const last = nth === 0 ? TOTAL * 0.8 : TOTAL;
  return Array.from({ length: 200 }, (_, i) => {
    const step = Math.floor((last * i) / 199);
    const phase = i < 6 ? "initializing" : step < TOTAL * 0.95 ? "training" : "saving";
    return { at: new Date(i).toISOString(), attempt: 1, revision: i, percent: Math.floor((step / TOTAL) * 10_000) / 100, phase, step, rate: pace, eta_seconds: null, seconds: step / pace };
  });
}

function compare(world, query) {
  const align = query.get("align") ?? "time";
  const jobs = query.get("ids").split(",").map((id) => world.jobs.find((item) => item.id === id));
  if (jobs.includes(undefined)) return found(null);
  const courses = jobs.map((_, nth) => history(nth));
  const bounds = [0, (6 / 199) * 100, 95, 100];
  const place = ({ step, seconds, phase, percent }) => {
    const index = PHASES.indexOf(phase);
    return { step, time: seconds, phase: index + Math.min(1, Math.max(0, (percent - bounds[index]) / (bounds[index + 1] - bounds[index]))) }[align];
  };
  const spent = (course, name) => course.filter((point) => point.phase === name).reduce((range, { seconds }) => [Math.min(range[0], seconds), seconds], [Infinity, 0]);
  return [200, {
    align, phases: PHASES, config_differs: ["k", "optimizer"],
    jobs: jobs.map((item, i) => ({
      id: item.id, name: item.name ?? "", kind: item.kind, state: item.state, percent: item.percent, seconds: courses[i].at(-1).seconds,
      phases: PHASES.map((name) => [name, spent(courses[i], name)]).filter(([, [from]]) => from < Infinity).map(([name, [from, to]]) => ({ name, seconds: to - from })),
    })),
    progress: courses.map((course, i) => ({ job_id: jobs[i].id, x: course.map(place), percent: course.map((point) => point.percent), seconds: course.map((point) => point.seconds) })),
    metrics: METRICS.slice(0, 5).map((name) => ({ name, curves: courses.map((course, i) => ({ job_id: jobs[i].id, x: course.map(place), values: course.map((point) => valueAt(name, point.step, i + 1)) })) })),
    verdict: { text: `${jobs[0].name} is 20 % faster than ${jobs[1].name} up to 80.00 % (5 min 0 s instead of 6 min 15 s); it gained that in training.`, fastest: jobs[0].id, at_percent: 80, comparisons: [] },
  }];
}

/** [status, body] for a call under /api/v1. */
export function answer(world, method, path, query, body) {
  const [, root, id, rest] = path.split("/");
  if (world.isEmpty && method === "GET" && !["session", "kinds", "settings"].includes(root)) return [200, { items: [], next_cursor: null }];
  if (root === "session") return [200, { role: "admin", installation: "fake", version: "0.1.0" }];
  if (root === "kinds") return [200, { items: ALL_KINDS }];
  if (root === "settings") return [200, { items: SETTINGS }];
  if (root === "artifacts") return [200, { items: ARTIFACTS.filter((item) => ["type", "state"].every((name) => !query.get(name) || item[name] === query.get(name))), next_cursor: null }];
  if (root === "system") return [200, { items: [{ name: "alder", last_seen_at: new Date().toISOString(), cpus: 2, memory_mb: 8192, gpus: [], slots: { cpu: 1, io: 2 }, workers: [{ id: "alder-1", pid: 4711, slots: { cpu: 1, io: 2 } }] }] }];
  if (root === "compare") return compare(world, query);
  if (root === "studies") return id ? [200, world.studyNow()] : [200, { items: [world.studyNow()], next_cursor: null }];
  if (root !== "jobs") return problem(404, "Not found", `There is nothing at ${path}.`);
  if (!id) return method === "POST" ? submit(world, body) : list(world, query);
  if (method === "POST") return act(world, id, rest, body);
  if (!rest) return found(world.jobs.find((item) => item.id === id));
  if (rest === "metrics") return metrics(world, id, query);
  if (rest === "checkpoints") return checkpoints(world, id);
  if (rest === "history") return [200, { items: history(0) }];
  const after = Number(query.get("after") ?? 0);
  const lines = (world.logs.get(id) ?? []).filter((line) => line.no > after).slice(0, Number(query.get("limit") ?? 500));
  return [200, { items: lines, next: lines.at(-1)?.no ?? after }];
}
