import { Link } from "@tanstack/react-router";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page } from "@/components/ui/Page";
import { useKinds } from "@/lib/jobs/useKinds";
import { KindForm } from "./KindForm";
import classes from "./SubmitPage.module.css";

/** The form of one kind. */
export function SubmitPage({ kind: name }: { kind: string }) {
  const { data, error, refetch } = useKinds();
  const kind = data?.items.find((item) => item.name === name);
  if (error && !data) return <Page title={name}>{<FailedRead error={error} retry={() => void refetch()} />}</Page>;
  if (!data) return <Page title={" "}>{null}</Page>;
  if (!kind)
    return (
      <Page title="New job">
        <Empty title={`There is no kind ${name}`} action={<Link to="/submit">See what can be run</Link>} />
      </Page>
    );
  return (
    <Page title={kind.title} meta={<span className="mono dim">{kind.name}</span>}>
      <p className={classes.description}>{kind.description}</p>
      {kind.available ? <KindForm kind={kind} /> : <Empty title="Not available here">{kind.unavailable_reason}</Empty>}
    </Page>
  );
}
