import type { Column } from "@/components/ui/Table";
import { count, metric } from "@/lib/format/numbers";
import type { Artifact } from "@/types/api";
import { saeMeta, told, toldCount } from "../meta";

/** One list of a page. */
export interface Part {
  type: string;
  title: string;
  empty: string;
  /** Between the name and what all artifacts have. */
  columns: Column<Artifact>[];
}

interface TypePageSpec {
  title: string;
  /** The kind of job that makes more of it. */
  kind: { name: string; verb: string };
  parts: Part[];
}

const text = (title: string, key: string, rest: Partial<Column<Artifact>> = {}): Column<Artifact> => ({ title, cell: (item) => told(item, key), ...rest });
const number = (title: string, key: string, rest: Partial<Column<Artifact>> = {}): Column<Artifact> => ({
  title,
  cell: (item) => {
    const value = toldCount(item, key);
    return value === null ? "–" : count(value);
  },
  align: "right",
  ...rest,
});

/** The least and the most over an artifact's SAEs. */
function rangeOf(item: Artifact, key: "fvu" | "l0"): string {
  const values = (saeMeta(item).saes ?? []).flatMap((sae) => sae[key] ?? []);
  if (values.length === 0) return "–";
  const [least, most] = [Math.min(...values), Math.max(...values)].map(metric);
  return least === most ? least! : `${least} to ${most}`;
}

const architectures = (item: Artifact): string => [...new Set((saeMeta(item).saes ?? []).map((sae) => sae.architecture))].join(", ") || "–";

const ORIGIN = [text("Licence", "license", { secondary: true }), text("Revision", "revision", { secondary: true })];

export const PAGES = {
  models: {
    title: "Models",
    kind: { name: "model.download", verb: "Get a model" },
    parts: [{ type: "model", title: "Models", empty: "A model comes from a hub, a local folder or an upload.", columns: ORIGIN }],
  },
  datasets: {
    title: "Datasets",
    kind: { name: "dataset.download", verb: "Get a dataset" },
    parts: [
      { type: "dataset", title: "Datasets", empty: "Text comes from a hub, a local folder or an upload.", columns: [number("Files", "files", { secondary: true }), ...ORIGIN] },
      {
        type: "tokens",
        title: "Token sets",
        empty: "dataset.tokenize makes a token set of a dataset with a model's tokenizer.",
        columns: [number("Tokens", "tokens"), number("Contexts", "contexts", { secondary: true }), number("Length", "context_length", { secondary: true })],
      },
    ],
  },
  activations: {
    title: "Activations",
    kind: { name: "activations.extract", verb: "Extract activations" },
    parts: [
      {
        type: "activations",
        title: "Activations",
        empty: "activations.extract runs a model over a token set and keeps what its layers say.",
        columns: [number("Rows", "rows"), number("Width", "d_in"), text("Layers", "layers"), text("Hooks", "hooks", { secondary: true }), text("Type", "dtype", { secondary: true })],
      },
    ],
  },
  saes: {
    title: "SAEs",
    kind: { name: "sae.train", verb: "Train SAEs" },
    parts: [
      {
        type: "sae",
        title: "Sparse autoencoders",
        empty: "sae.train makes them from activations.",
        columns: [
          { title: "SAEs", cell: (item) => saeMeta(item).saes?.length ?? "–", align: "right" },
          { title: "Architecture", cell: architectures, secondary: true },
          number("Features", "d_sae", { secondary: true }),
          { title: "FVU", cell: (item) => rangeOf(item, "fvu"), align: "right" },
          { title: "L0", cell: (item) => rangeOf(item, "l0"), align: "right", secondary: true },
        ],
      },
      {
        type: "feature_index",
        title: "Feature indexes",
        empty: "features.index looks at what each feature of some SAEs does on a text.",
        columns: [text("Model", "model", { secondary: true }), text("Text", "dataset", { secondary: true }), number("Tokens", "tokens", { secondary: true })],
      },
      { type: "evaluation", title: "Evaluations", empty: "sae.evaluate measures SAEs, and what they cost the model.", columns: [text("Text", "dataset"), number("Tokens", "tokens", { secondary: true })] },
    ],
  },
} satisfies Record<string, TypePageSpec>;

export type PageName = keyof typeof PAGES;
