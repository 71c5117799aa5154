/** What of an index is looked at: all of it stands in the page's address. */

export const SORTS = ["density", "max", "mean", "index", "label"] as const;
export type Sort = (typeof SORTS)[number];
export type Order = "asc" | "desc";

export interface Look {
  sae?: string;
  feature?: number;
  sort: Sort;
  order: Order;
  q?: string;
  density?: DensityRange;
  labelled?: boolean;
}

/** Orders that begin at the low end. */
const RISING: readonly Sort[] = ["index", "label"];

export const defaultOrder = (sort: Sort): Order => (RISING.includes(sort) ? "asc" : "desc");

/** Another order: the same one asked for again is turned round. */
export function sorted(look: Look, sort: Sort): Pick<Look, "sort" | "order"> {
  const turned = look.order === "asc" ? "desc" : "asc";
  return { sort, order: look.sort === sort ? turned : defaultOrder(sort) };
}

export const DENSITIES = {
  dense: { title: "Dense, over 10 %", min: 0.1, max: 1 },
  usual: { title: "0.01 % to 10 %", min: 1e-4, max: 0.1 },
  rare: { title: "Rare, up to 0.01 %", min: 1e-12, max: 1e-4 },
  never: { title: "Never fires", min: 0, max: 0 },
} as const;
export type DensityRange = keyof typeof DENSITIES;

/** What stands in the address. */
export interface LookSearch {
  sae?: string;
  feature?: number;
  sort?: Sort;
  order?: Order;
  q?: string;
  density?: DensityRange;
  labelled?: boolean;
}

/** The look as the address carries it: what is as it is at first is left out. */
export function searchOf(look: Look): LookSearch {
  const { sort, order, q, ...rest } = look;
  return { ...rest, q: q || undefined, sort: sort === "density" ? undefined : sort, order: order === defaultOrder(sort) ? undefined : order };
}

/** The look that an address stands for; what it says wrongly is left out. */
export function lookOf(search: { [Key in keyof LookSearch]?: unknown }): Look {
  const sort = SORTS.find((each) => each === search.sort) ?? "density";
  const text = (value: unknown) => (typeof value === "string" && value ? value : undefined);
  return {
    sae: text(search.sae),
    feature: Number.isInteger(search.feature) ? (search.feature as number) : undefined,
    sort,
    order: search.order === "asc" || search.order === "desc" ? search.order : defaultOrder(sort),
    q: typeof search.q === "number" ? String(search.q) : text(search.q),
    density: (Object.keys(DENSITIES) as DensityRange[]).find((each) => each === search.density),
    labelled: typeof search.labelled === "boolean" ? search.labelled : undefined,
  };
}
