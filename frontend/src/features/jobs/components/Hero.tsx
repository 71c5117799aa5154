import { phaseTitle, queuedText, waitingText } from "@/components/jobs/activity";
import { counters, percent } from "@/lib/format/numbers";
import { isFinal } from "@/lib/jobs/states";
import type { Job } from "@/types/api";
import classes from "./Hero.module.css";
import { HeroFacts } from "./HeroFacts";
import { overheadText } from "./overhead";
import { Timeline } from "./Timeline";

/** What a job's page says first: how far, what now, and the way there with its end. */
export function Hero({ job }: { job: Job }) {
  const [number, sign] = percent(job.percent).split(" ");
  return (
    <section className={classes.hero} aria-label="Progress" data-revision={job.revision}>
      <div className={classes.top}>
        <div className={`figures ${classes.percent}`} data-testid="percent">
          {number}
          <span className={classes.sign}>{sign}</span>
        </div>
        <div className={classes.now}>
          <div className={classes.phase}>{headline(job)}</div>
          <div className={`figures ${classes.counters}`} data-testid="counters">
            {counters(job.counters) || " "}
          </div>
        </div>
        <HeroFacts job={job} />
      </div>
      <Timeline job={job} />
      <div className={classes.below}>
        <p className={classes.message}>{(!isFinal(job.state) && job.message) || " "}</p>
        <p className={`figures ${classes.overhead}`} title="What it costs the job to tell its progress, measured by itself">
          {overheadText(job.overhead)}
        </p>
      </div>
    </section>
  );
}

/** The phase a job is in, or why it is in none. */
function headline(job: Job): string {
  const text = job.state === "waiting" ? waitingText(job.waiting_for) : job.state === "queued" ? queuedText(job) : phaseTitle(job);
  return text ? text.charAt(0).toUpperCase() + text.slice(1) : " ";
}
