import { Button } from "@mantine/core";
import type { ErrorComponentProps } from "@tanstack/react-router";
import { Notice } from "@/components/ui/Notice";
import { messageOf } from "@/lib/api/errors";
import { Page } from "@/components/ui/Page";

/** A page that broke while it was drawn; the frame around it stands. */
export function RouteError({ error }: ErrorComponentProps) {
  return (
    <Page title="This page broke">
      <Notice
        title="An error in the dashboard"
        action={
          <Button variant="default" onClick={() => location.reload()}>
            Load it again
          </Button>
        }
      >
        {messageOf(error)}
      </Notice>
    </Page>
  );
}
