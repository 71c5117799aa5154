// A stand-in for the backend that speaks its contracts: `node tests/fake/server.mjs [port]`, for looking at pages. Never shipped.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { Server } from "socket.io";
import { TOKEN, answer } from "./answers.mjs";
import { METRICS, World, valueAt } from "./world.mjs";

const PORT = Number(process.argv[2] ?? 8400);
const DIST = join(import.meta.dirname, "../../dist");
const COOKIE = "headway_fake";
const TICK_MS = 100;
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2" };

const world = new World();
world.isEmpty = process.env.EMPTY === "1";
const signedIn = (request) => (request.headers.cookie ?? "").includes(`${COOKIE}=${TOKEN}`);

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const text = Buffer.concat(parts).toString();
  return text ? JSON.parse(text) : {};
}

function send(response, status, body, headers = {}) {
  const type = status >= 400 ? "application/problem+json" : "application/json";
  response.writeHead(status, { "Content-Type": type, ...headers }).end(body === undefined ? "" : JSON.stringify(body));
}

async function api(request, response, url) {
  const body = request.method === "POST" ? await bodyOf(request) : {};
  const path = url.pathname.slice("/api/v1".length);
  if (path === "/session" && request.method === "POST") {
    if (body.token !== TOKEN) return send(response, 401, { title: "Wrong token", status: 401, detail: "This is not the token of this installation." });
    return send(response, 200, { role: "admin" }, { "Set-Cookie": `${COOKIE}=${TOKEN}; HttpOnly; SameSite=Strict; Path=/` });
  }
  if (!signedIn(request)) return send(response, 401, { title: "Signed out", status: 401, detail: "No valid session." });
  return send(response, ...answer(world, request.method, path, url.searchParams, body));
}

async function page(response, url) {
  if (url.searchParams.get("token") === TOKEN) {
    url.searchParams.delete("token");
    response.writeHead(303, { Location: url.pathname + url.search, "Set-Cookie": `${COOKIE}=${TOKEN}; HttpOnly; SameSite=Strict; Path=/` }).end();
    return;
  }
  // A page's address may hold a dot (/submit/sae.train): only known types of file are files.
  const name = extname(url.pathname) in TYPES ? url.pathname : "/index.html";
  const file = await readFile(join(DIST, name)).catch(() => null);
  response.writeHead(file ? 200 : 404, { "Content-Type": TYPES[extname(name)] ?? "application/octet-stream" }).end(file);
}

const http = createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  void (url.pathname.startsWith("/api/") ? api(request, response, url) : page(response, url));
});

const io = new Server(process.env.NO_SOCKET === "1" ? createServer() : http, { transports: ["websocket"] });
io.use((socket, next) => next(signedIn(socket.request) ? undefined : new Error("unauthorized")));

function snapshotOf(channel) {
  const [root, id, what] = channel.split("/");
  if (channel === "operations") return { items: world.isEmpty ? [] : [world.running] };
  if (root === "jobs" && what === "progress") return world.jobs.find((item) => item.id === id);
  if (what === "metrics") return { names: METRICS, cursor: { [world.running.attempt]: world.steps } };
  if (what === "logs") return { after: 0, items: [], next: (world.logs.get(id) ?? []).length };
  return {};
}

io.on("connection", (socket) => {
  socket.on("subscribe", ({ channel }, reply) => {
    socket.join(channel);
    reply({ ok: true, channel, snapshot: snapshotOf(channel) });
  });
  socket.on("unsubscribe", ({ channel }, reply) => {
    socket.leave(channel);
    reply({ ok: true, channel, snapshot: null });
  });
});

function push(channel, event, payload) {
  io.to(channel).emit(event, { channel, job_id: world.running.id, revision: world.running.revision, ...payload });
}

setInterval(() => {
  const steps = world.move();
  const { running } = world;
  if (steps.length === 0) return;
  const points = METRICS.map((name) => ({ name, steps, values: steps.map((step) => valueAt(name, step)) }));
  push(`jobs/${running.id}/progress`, "job:progress", { job: running });
  push("operations", "job:changed", { revision: 0, job: running });
  push(`jobs/${running.id}/metrics`, "job:metrics", { attempt: running.attempt, from: world.steps - steps.length, to: world.steps, points });
  if (world.steps % 30 < 3) push(`jobs/${running.id}/logs`, "job:logs", { items: [world.addLog(running, world.steps)] });
}, TICK_MS);

http.listen(PORT, "127.0.0.1", () => console.log(JSON.stringify({ url: `http://127.0.0.1:${PORT}`, token: TOKEN, job: world.running.id, study: world.study.id, failed: world.jobs.find((item) => item.state === "failed").id, done: world.jobs.find((item) => item.state === "completed").id })));
