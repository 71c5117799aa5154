import { type Socket, io } from "socket.io-client";
import type { Push, SubscribeReply } from "@/types/api";
import { POLL_MS } from "@/config/live";
import { Channels, type Listener } from "./channels";
import { connection } from "./connection";

/** The one socket of this page. It carries subscriptions and what is pushed, never a command; auth is the session's cookie. */
const socket: Socket = io({
  path: "/socket.io",
  transports: ["websocket"],
  autoConnect: false,
  reconnectionDelay: 200,
  reconnectionDelayMax: 2_000,
});

const channels = new Channels({
  get connected() {
    return socket.connected;
  },
  call: (event, payload, timeoutMs) => socket.timeout(timeoutMs).emitWithAck(event, payload) as Promise<SubscribeReply>,
});

socket.on("connect", () => {
  connection.socket(true);
  channels.reconnected();
});
socket.on("disconnect", (reason) => {
  connection.socket(false);
  // The library comes back by itself from everything but a server that closed on purpose: it may be restarting.
  if (reason === "io server disconnect") setTimeout(connectIfWanted, POLL_MS);
});
socket.on("connect_error", () => {
  if (!socket.active) setTimeout(connectIfWanted, POLL_MS);
});
socket.io.on("open", () => socket.io.engine.on("packet", () => connection.heard()));
socket.onAny((event: string, payload: Push) => channels.receive(event, payload));

let wanted = false;

function connectIfWanted(): void {
  if (wanted && !socket.connected) socket.connect();
}

/** Opens the socket and keeps it open until `closeSocket`. */
export function openSocket(): void {
  wanted = true;
  connectIfWanted();
}

export function closeSocket(): void {
  wanted = false;
  socket.disconnect();
}

/** Hears a channel until the returned function is called. */
export function listen(channel: string, listener: Listener): () => void {
  return channels.listen(channel, listener);
}
