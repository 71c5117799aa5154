// A JavaScript client that the protocol test drives: commands as lines of JSON in, what it is told as lines of JSON out.
// `node driver.mjs URL TOKEN`. The very modules of the dashboard; Node itself strips their types.
// Twin of backend/tests/integration/live_driver.py.

import { registerHooks } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const SOURCES = pathToFileURL(join(import.meta.dirname, "../../src/")).href;

registerHooks({
  resolve(specifier, context, next) {
    const isOwn = specifier.startsWith("@/") || (specifier.startsWith(".") && context.parentURL?.startsWith(SOURCES));
    return next(isOwn ? `${specifier.replace(/^@\//, SOURCES)}.ts` : specifier, context);
  },
});

const { Live } = await import(`${SOURCES}lib/live/live.ts`);
const { JobStream, JobsStream } = await import(`${SOURCES}lib/live/streams.ts`);
const { EventStream, LogStream, MetricStream } = await import(`${SOURCES}lib/live/jobStreams.ts`);
const STREAMS = { job: JobStream, jobs: JobsStream, logs: LogStream, events: EventStream, metrics: MetricStream };

const [url, token] = process.argv.slice(2);
const stop = new AbortController();
let socketUp = false;
let restUp = true;

function say(told) {
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

function sayMode() {
  const mode = socketUp ? "pushed" : restUp ? "polled" : "offline";
  if (mode !== sayMode.last) say({ mode });
  sayMode.last = mode;
}

async function get(path, query = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined));
  const response = await fetch(`${url}/api/v1${path}?${asked}`, { headers: { Authorization: `Bearer ${token}` } }).catch(() => null);
  restUp = response !== null && response.status < 500;
  sayMode();
  if (response?.ok) return await response.json();
  const problem = await response?.json().catch(() => null);
  throw Object.assign(new Error(problem?.detail ?? "no answer"), { status: response?.status ?? 0 });
}

const live = new Live({
  url,
  token,
  get,
  onSocket(up) {
    socketUp = up;
    sayMode();
  },
});

async function follow(name, stream) {
  try {
    for await (const told of live.follow(stream, stop.signal)) say({ stream: name, ...("reset" in told ? told : { told }) });
    if (!stop.signal.aborted) say({ stream: name, over: true });
  } catch (error) {
    say({ stream: name, error: error.message });
  }
}

sayMode();
live.open();
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  if (!command.follow) live.cut();
  else void follow(command.follow, new STREAMS[command.follow](...[command.job, command.held].filter((each) => each !== undefined)));
}
stop.abort();
live.close();
