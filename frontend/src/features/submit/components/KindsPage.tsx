import { Link } from "@tanstack/react-router";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page } from "@/components/ui/Page";
import { useKinds } from "@/lib/jobs/useKinds";
import type { Kind } from "@/types/api";
import classes from "./KindsPage.module.css";

/** What can be run. */
export function KindsPage() {
  const { data, error, refetch } = useKinds();
  return (
    <Page title="New job">
      {error && !data && <FailedRead error={error} retry={() => void refetch()} />}
      {data?.items.length === 0 && <Empty title="No kinds found">Kinds are folders under backend/headway/jobs/kinds.</Empty>}
      <ul className={classes.list}>
        {data?.items.map((kind) => (
          <li key={kind.name}>
            <KindRow kind={kind} />
          </li>
        ))}
      </ul>
    </Page>
  );
}

function KindRow({ kind }: { kind: Kind }) {
  return (
    <Link to="/submit/$kind" params={{ kind: kind.name }} className={classes.row} data-available={kind.available}>
      <span className={classes.what}>
        <span className={classes.title}>{kind.title}</span>
        <span className="mono dim">{kind.name}</span>
      </span>
      <span className={classes.description}>{kind.available ? kind.description : kind.unavailable_reason}</span>
      <span className={classes.flow}>{flowOf(kind)}</span>
    </Link>
  );
}

/** `activations → sae` */
function flowOf({ inputs, outputs }: Kind): string {
  const names = (items: { type: string }[]) => items.map((item) => item.type).join(", ");
  if (!inputs.length && !outputs.length) return "";
  return [names(inputs), names(outputs)].filter(Boolean).join(" → ");
}
