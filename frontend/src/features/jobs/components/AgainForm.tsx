import { Button } from "@mantine/core";
import { useMemo, useState } from "react";
import { ConfigDiff } from "@/components/config/ConfigDiff";
import { ConfigForm } from "@/components/config/ConfigForm";
import { formSchema, withoutEmpty } from "@/lib/schema/form";
import { changesOf, patchOf, withoutDefaults } from "@/lib/schema/patch";
import type { Job, JsonObject, Kind } from "@/types/api";
import { useActions } from "../hooks/useActions";
import { adviceOf } from "./advice";
import classes from "./AgainForm.module.css";

interface AgainFormProps {
  job: Job;
  kind: Kind;
  advised: boolean;
}

/** The old config to change, and before anything is sent what the change is. */
export function AgainForm({ job, kind, advised }: AgainFormProps) {
  const actions = useActions(job);
  const schema = useMemo(() => withoutDefaults(formSchema(kind.schema)), [kind.schema]);
  const advice = adviceOf(job);
  const [before] = useState(() => withoutEmpty(job.config) as JsonObject);
  const [data, setData] = useState<JsonObject>(() => (advised ? { ...before, ...advice } : before));
  const after = withoutEmpty(data) as JsonObject;
  const patch = patchOf(before, after, kind.schema);
  const changes = changesOf(before, { ...before, ...patch });

  return (
    <div className={classes.form}>
      {advice && (
        <div className={classes.advice}>
          <p>{job.error?.advice?.text}</p>
          <ConfigDiff changes={changesOf(before, { ...before, ...advice })} />
          <Button variant="default" disabled={changesOf(after, { ...after, ...advice }).length === 0} onClick={() => setData({ ...data, ...advice })}>
            Take the advice
          </Button>
        </div>
      )}
      <ConfigForm schema={schema} data={data} error={actions.error} onChange={setData} onSubmit={() => actions.run({ action: "retry", config: patch })}>
        {(problems) => (
          <div className={classes.foot}>
            <div className={classes.changes}>
              {changes.length > 0 ? <ConfigDiff changes={changes} /> : <p className="dim">Nothing is changed: it runs with the same config.</p>}
            </div>
            {problems}
            <Button type="submit" size="sm" loading={actions.busy === "retry"}>
              {changes.length > 0 ? "Run with these changes" : "Run again"}
            </Button>
          </div>
        )}
      </ConfigForm>
    </div>
  );
}
