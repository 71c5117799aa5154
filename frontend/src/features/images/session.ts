/** What an image session leaves in its artifact: the JSON files of `images.index`. */

export interface SessionCounts {
  embedding: { pictures: number; embedded: number; reused: number; broken: number };
  face_detection: { pictures: number; looked_at: number; reused: number; broken: number; with_faces: number; faces: number };
  clustering: { groups: number; grouped: number; noise: number; face_groups: number; grouped_faces: number; noise_faces: number };
}

export interface SessionSummary extends SessionCounts {
  name: string;
  embedder: string;
  detector: string;
  face_embedder: string;
  other_files: number;
  queries: { text: string; pictures: Near[] }[];
  broken: { name: string; error: string }[];
}

/** A picture's number and its cosine. */
export type Near = [number, number];

export interface Group {
  label: number;
  size: number;
  sheet: string | null;
  members: number[];
}

export type Subject = "pictures" | "faces";

export type Clusters = Record<Subject, { groups: Group[]; noise: number[] }>;

export interface Picture {
  no: number;
  name: string;
  width: number;
  height: number;
  error: string | null;
  group: number | null;
  faces: number[];
  nearest: Near[];
}

export interface Face {
  no: number;
  picture: number;
  box: [number, number, number, number];
  score: number;
  group: number | null;
}

const A_PIECE = 200;
const A_FOLDER = 1000;

const padded = (no: number, digits: number): string => String(no).padStart(digits, "0");

/** The file that tells of a picture or face, and its place in it. */
export function pieceOf(subject: Subject, no: number): { path: string; place: number } {
  return { path: `${subject}/${padded(Math.floor(no / A_PIECE), 4)}.json`, place: no % A_PIECE };
}

export function thumbPath(subject: Subject, no: number): string {
  const folder = subject === "faces" ? "face_thumbs" : "thumbs";
  return `${folder}/${padded(Math.floor(no / A_FOLDER), 3)}/${padded(no, 6)}.jpg`;
}

/** Where a browser gets a file of an artifact. */
export function fileUrl(artifactId: string, path: string): string {
  return `/api/v1/artifacts/${artifactId}/file?path=${encodeURIComponent(path)}`;
}
