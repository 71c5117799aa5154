import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Where `npm run dev` finds a running Headway. */
const BACKEND = process.env.HEADWAY_URL ?? "http://127.0.0.1:8400";

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  server: {
    host: "127.0.0.1",
    // "/api" carries /api/v1 and /api/v2; the documented views stand beside it
    proxy: {
      "/api": BACKEND,
      "/runs": BACKEND,
      "/ws": { target: BACKEND, ws: true },
      "/socket.io": { target: BACKEND, ws: true },
    },
  },
  build: {
    target: "es2022",
    sourcemap: false,
    chunkSizeWarningLimit: 600,
  },
  // files share a process: starting a fresh one for each takes longer than their tests
  test: { environment: "node", include: ["src/**/*.test.{ts,tsx}"], isolate: false },
});
