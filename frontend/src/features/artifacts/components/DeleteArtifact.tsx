import { Button, Popover, Text } from "@mantine/core";
import { useState } from "react";
import { messageOf } from "@/lib/api/errors";
import { bytes } from "@/lib/format/numbers";
import type { Artifact } from "@/types/api";
import { useDeleteArtifact } from "../api/queries";

/** Deletes an artifact once it was said what goes with it; why it cannot be deleted is said in the same place. */
export function DeleteArtifact({ artifact }: { artifact: Artifact }) {
  const [opened, setOpened] = useState(false);
  const deletion = useDeleteArtifact();
  const toggle = (open: boolean) => {
    setOpened(open);
    deletion.reset();
  };
  return (
    <Popover opened={opened} onChange={toggle} position="bottom-end" width={280} trapFocus withinPortal>
      <Popover.Target>
        <Button size="compact-xs" variant="subtle" color="gray" aria-label={`Delete ${artifact.id}`} onClick={() => toggle(!opened)}>
          Delete
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Text size="sm" mb={8} role={deletion.error ? "alert" : undefined}>
          {deletion.error ? messageOf(deletion.error) : `Its files (${bytes(artifact.bytes)}) go with it, on every host.`}
        </Text>
        <Button size="xs" color="red" loading={deletion.isPending} onClick={() => deletion.mutate(artifact.id)}>
          Delete for good
        </Button>
      </Popover.Dropdown>
    </Popover>
  );
}
