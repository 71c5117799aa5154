import { type ReactNode, useEffect } from "react";
import { SignIn } from "@/features/session/components/SignIn";
import { useSession } from "@/features/session/api/session";
import { isSignedOut } from "@/lib/api/errors";
import { closeSocket, openSocket } from "@/lib/live/socket";

/** Opens the socket for who is signed in, and shows the door to who is not. */
export function SessionGate({ children }: { children: ReactNode }) {
  const { data, error } = useSession();
  const isOut = isSignedOut(error);
  const isIn = data !== undefined && !isOut;
  useEffect(() => {
    if (!isIn) return;
    openSocket();
    return closeSocket;
  }, [isIn]);
  if (isOut) return <SignIn />;
  return children;
}
