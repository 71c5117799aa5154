import { Button, Menu, SegmentedControl } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { Definitions } from "@/components/ui/Definitions";
import { FailedRead, Notice } from "@/components/ui/Notice";
import { Page, Section } from "@/components/ui/Page";
import { Table } from "@/components/ui/Table";
import { messageOf } from "@/lib/api/errors";
import { count } from "@/lib/format/numbers";
import { useClusters, usePictureOfFace, useRestart, useSession, useSummary } from "../api/queries";
import { type Clusters, type Group, type SessionSummary, type Subject, fileUrl } from "../session";
import classes from "./Images.module.css";
import { PictureDetail } from "./PictureDetail";
import { Thumbs } from "./Thumbs";

/** What of a session is looked at; `group` -1 is the noise. */
export interface Look {
  of: Subject;
  group: number | null;
  picture: number | null;
}

const NOISE = -1;
const PHASES = [
  { value: "embedding", label: "Embeddings" },
  { value: "face_detection", label: "Face detection" },
  { value: "clustering", label: "Clustering" },
];

interface SessionPageProps {
  id: string;
  look: Look;
  onLook: (look: Partial<Look>) => void;
}

/** One session: counts of each phase, groups as contact sheets, a picture's nearest, what was broken. */
export function SessionPage({ id, look, onLook }: SessionPageProps) {
  const artifact = useSession(id).data;
  const { data: summary, error, refetch } = useSummary(id);
  const clusters = useClusters(id).data;
  if (error && !summary) return <FailedRead error={error} retry={() => void refetch()} />;
  if (!summary) return null;
  const onPicture = (picture: number) => onLook({ picture });
  return (
    <Page title={summary.name} meta={`${count(summary.embedding.pictures)} pictures`} actions={<Restart jobId={artifact?.job_id ?? null} />}>
      {look.picture !== null && <PictureDetail session={id} no={look.picture} onPicture={onPicture} />}
      {summary.queries.map(({ text, pictures }) => (
        <Section key={text} title={`“${text}”`}>
          <Thumbs session={id} subject="pictures" numbers={pictures.map(([no]) => no)} chosen={look.picture} onChoose={onPicture} />
        </Section>
      ))}
      {clusters && <Groups id={id} clusters={clusters} look={look} onLook={onLook} />}
      <Section title="Phases">
        <Counts summary={summary} />
      </Section>
      {summary.broken.length > 0 && (
        <Section title="Broken files">
          <Table
            label="Broken files"
            columns={[
              { title: "File", cell: (item) => <span className="mono">{item.name}</span> },
              { title: "Why", cell: (item) => item.error },
            ]}
            items={summary.broken}
            keyOf={(item) => item.name}
          />
        </Section>
      )}
    </Page>
  );
}

function Restart({ jobId }: { jobId: string | null }) {
  const navigate = useNavigate();
  const restart = useRestart(jobId);
  const from = (phase: string) => restart.mutate(phase, { onSuccess: (job) => void navigate({ to: "/jobs/$id", params: { id: job.id } }) });
  if (!jobId) return null;
  return (
    <>
      <Button variant="default" renderRoot={(props) => <Link {...props} to="/jobs/$id" params={{ id: jobId }} />}>
        Job
      </Button>
      <Menu>
        <Menu.Target>
          <Button loading={restart.isPending}>Restart from</Button>
        </Menu.Target>
        <Menu.Dropdown>
          {PHASES.map(({ value, label }) => (
            <Menu.Item key={value} onClick={() => from(value)}>
              {label}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      {restart.error && <Notice title="That did not work">{messageOf(restart.error)}</Notice>}
    </>
  );
}

interface GroupsProps {
  id: string;
  clusters: Clusters;
  look: Look;
  onLook: (look: Partial<Look>) => void;
}

function Groups({ id, clusters, look, onLook }: GroupsProps) {
  const { groups, noise } = clusters[look.of];
  const chosen = look.group === NOISE ? noise : groups.find((group) => group.label === look.group)?.members;
  const subjects = [
    { value: "pictures", label: "Pictures" },
    { value: "faces", label: "Faces" },
  ];
  const switched = (of: string) => onLook({ of: of as Subject, group: null });
  const aside = <SegmentedControl size="xs" aria-label="Groups of" data={subjects} value={look.of} onChange={switched} />;
  return (
    <>
      {chosen && (
        <Section title={look.group === NOISE ? "In no group" : `Group ${(look.group ?? 0) + 1}`} aside={<Close onClick={() => onLook({ group: null })} />}>
          <Members key={`${look.of}-${look.group}`} id={id} look={look} numbers={chosen} onPicture={(picture) => onLook({ picture })} />
        </Section>
      )}
      <Section title="Groups" aside={aside}>
        {look.of === "faces" && <p className="dim">Faces are grouped by how the cut-outs look, not by who it is.</p>}
        {groups.length === 0 && <p className="dim">No group was found.</p>}
        <ul className={classes.sheets}>
          {groups.map((group) => (
            <li key={group.label}>
              <Sheet id={id} group={group} onClick={() => onLook({ group: group.label })} />
            </li>
          ))}
        </ul>
        {noise.length > 0 && (
          <Button className={classes.more} variant="default" size="xs" onClick={() => onLook({ group: NOISE })}>
            {count(noise.length)} in no group
          </Button>
        )}
      </Section>
    </>
  );
}

const Close = ({ onClick }: { onClick: () => void }) => (
  <Button variant="subtle" color="gray" size="compact-xs" onClick={onClick}>
    Close
  </Button>
);

const SHEET_COLUMNS = 6;
const SHEET_ROWS = 4;
const SHEET_CELL = 128;

function Sheet({ id, group, onClick }: { id: string; group: Group; onClick: () => void }) {
  const columns = Math.min(SHEET_COLUMNS, group.size);
  const rows = Math.min(SHEET_ROWS, Math.ceil(group.size / columns));
  // thumbnails are of one size whatever the group, and their place is there before they are
  const size = { width: columns * SHEET_CELL, height: rows * SHEET_CELL, style: { width: `${(columns / SHEET_COLUMNS) * 100}%` } };
  return (
    <button type="button" className={classes.sheet} onClick={onClick} aria-label={`Group ${group.label + 1}, ${group.size}`}>
      {group.sheet && <img src={fileUrl(id, group.sheet)} alt="" loading="lazy" {...size} />}
      <span className={classes.caption}>
        <span className={classes.name}>Group {group.label + 1}</span>
        <span className="figures dim">{count(group.size)}</span>
      </span>
    </button>
  );
}

interface MembersProps {
  id: string;
  look: Look;
  numbers: number[];
  onPicture: (no: number) => void;
}

/** The members of a group; a face leads to the picture it is on. */
function Members({ id, look, numbers, onPicture }: MembersProps) {
  const pictureOf = usePictureOfFace(id);
  const choose = look.of === "pictures" ? onPicture : (no: number) => void pictureOf(no).then(onPicture);
  return <Thumbs session={id} subject={look.of} numbers={numbers} chosen={look.of === "pictures" ? look.picture : null} onChoose={choose} />;
}

function Counts({ summary }: { summary: SessionSummary }) {
  const { embedding, face_detection: faces, clustering } = summary;
  const parts: [string, [string, React.ReactNode][]][] = [
    ["Embeddings", rows({ Pictures: embedding.pictures, Embedded: embedding.embedded, "Known before": embedding.reused, Broken: embedding.broken })],
    ["Face detection", rows({ "Looked at": faces.looked_at, "Known before": faces.reused, Broken: faces.broken, "With faces": faces.with_faces, Faces: faces.faces })],
    ["Clustering", rows({ Groups: clustering.groups, "In no group": clustering.noise, "Groups of faces": clustering.face_groups, "Faces in no group": clustering.noise_faces })],
  ];
  return (
    <div className={classes.counts}>
      {parts.map(([title, told]) => (
        <div key={title}>
          <h3>{title}</h3>
          <Definitions rows={told} />
        </div>
      ))}
    </div>
  );
}

const rows = (counts: Record<string, number>): [string, React.ReactNode][] => Object.entries(counts).map(([name, value]) => [name, count(value)]);
