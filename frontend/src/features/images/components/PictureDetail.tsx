import { Definitions } from "@/components/ui/Definitions";
import { Section } from "@/components/ui/Page";
import { usePicture } from "../api/queries";
import { fileUrl, thumbPath } from "../session";
import classes from "./Images.module.css";
import { Thumbs } from "./Thumbs";

interface PictureDetailProps {
  session: string;
  no: number;
  onPicture: (no: number) => void;
}

/** One picture: where it belongs, and those nearest to it. */
export function PictureDetail({ session, no, onPicture }: PictureDetailProps) {
  const picture = usePicture(session, no);
  if (!picture) return null;
  const cosines = new Map(picture.nearest);
  const rows: [string, React.ReactNode][] = [
    ["Size", `${picture.width} × ${picture.height}`],
    ["Group", picture.group === null ? "none (noise)" : `Group ${picture.group + 1}`],
    ["Faces", picture.faces.length || "none found"],
  ];
  return (
    <Section title={picture.name}>
      <div className={classes.picture}>
        <img src={fileUrl(session, thumbPath("pictures", no))} alt={picture.name} />
        <div>
          <Definitions rows={rows} />
          <h3>Nearest pictures</h3>
          <Thumbs
            key={no}
            session={session}
            subject="pictures"
            numbers={picture.nearest.map(([other]) => other)}
            captionOf={(other) => (cosines.get(other) ?? 0).toFixed(3)}
            onChoose={onPicture}
          />
        </div>
      </div>
    </Section>
  );
}
