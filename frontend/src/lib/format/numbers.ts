import type { Counter } from "@/types/api";

const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
const BYTE_NAMES = new Set(["b", "byte", "bytes"]);

export const count = (value: number): string => GROUPED.format(value);

/** Two decimals always, so that the width stands still. */
export const percent = (value: number): string => `${value.toFixed(2)} %`;

/** A share (0..1) in percent with two significant digits: `3.1 %`, `0.0042 %`. */
export function share(value: number): string {
  return `${value === 0 ? 0 : Number((value * 100).toPrecision(2)).toLocaleString("en", { maximumFractionDigits: 8 })} %`;
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const power = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), BYTE_UNITS.length - 1);
  return `${(value / 1000 ** power).toFixed(power ? 1 : 0)} ${BYTE_UNITS[power]}`;
}

export const isBytes = (unit: string): boolean => BYTE_NAMES.has(unit.toLowerCase());

/** `1,234 step/s`; slow work per minute or per hour, so that a rate is never a row of zeros. */
export function rate(perSecond: number | null, unit = ""): string {
  if (perSecond === null || !Number.isFinite(perSecond)) return "–";
  if (isBytes(unit)) return `${bytes(perSecond)}/s`;
  const [value, per] = perSecond >= 1 || perSecond === 0 ? [perSecond, "s"] : perSecond * 60 >= 1 ? [perSecond * 60, "min"] : [perSecond * 3600, "h"];
  const places = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  const text = value >= 1000 ? WHOLE.format(value) : value.toFixed(places);
  return `${text} ${unit}/${per}`.replace(" /", " /").trim();
}

/** `Epoch 1/3 · Step 456/1,000`, outermost first; an inner total that is not whole is a mean (of uneven batches), shown rounded. */
export function counters(list: Counter[]): string {
  return list.map((each, place) => counter(place > 0 ? inWhole(each) : each)).join(" · ");
}

function inWhole(each: Counter): Counter {
  if (each.total === null || Number.isInteger(each.total)) return each;
  return { ...each, current: Math.round(each.current), total: Math.round(each.total) };
}

function counter({ unit, current, total }: Counter): string {
  if (isBytes(unit)) return total === null ? bytes(current) : `${bytes(current)} of ${bytes(total)}`;
  const name = unit.charAt(0).toUpperCase() + unit.slice(1);
  return `${name} ${count(current)}${total === null ? "" : `/${count(total)}`}`;
}

/** A metric's value at a glance: four significant digits, scientific where plain digits would mislead. */
export function metric(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  return digits(value).replaceAll("-", "\u2212");
}

function digits(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-3) return Number(value.toPrecision(3)).toExponential().replace("e+", "e");
  if (size >= 1000) return GROUPED.format(Math.round(value * 10) / 10);
  return Number(value.toPrecision(4)).toString();
}
