import { Button, PasswordInput } from "@mantine/core";
import { useState } from "react";
import { Wordmark } from "@/components/ui/Wordmark";
import { messageOf } from "@/lib/api/errors";
import { useSignIn } from "../api/session";
import classes from "./SignIn.module.css";

/** The door: this browser has no session yet. */
export function SignIn() {
  const [token, setToken] = useState("");
  const signIn = useSignIn();
  const submit = (event: React.FormEvent) => {
    event.preventDefault();
    signIn.mutate(token.trim());
  };
  return (
    <main className={classes.page}>
      <form className={classes.form} onSubmit={submit}>
        <Wordmark />
        <p className={classes.text}>
          Paste the access token of this installation. <code className="mono">headway open</code> prints it, with an address that signs you in
          by itself.
        </p>
        <PasswordInput
          label="Token"
          value={token}
          onChange={(event) => setToken(event.currentTarget.value)}
          error={signIn.error && messageOf(signIn.error)}
          autoComplete="current-password"
          data-autofocus
          autoFocus
        />
        <Button type="submit" size="sm" loading={signIn.isPending} disabled={!token.trim()} fullWidth>
          Sign in
        </Button>
      </form>
    </main>
  );
}
