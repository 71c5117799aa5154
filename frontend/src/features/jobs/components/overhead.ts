import type { Job } from "@/types/api";

/** The share of a step that telling its progress may cost, in percent. */
const BUDGET_PERCENT = 1;

/** `tracking 1.4 µs a call · 0.02 % of the step`; what is not measured yet is left out. */
export function overheadText(overhead: Job["overhead"]): string {
  const { us_per_call: call, percent_of_step: share } = overhead ?? {};
  const parts = [
    typeof call === "number" && `${places(call)} µs a call`,
    typeof share === "number" && `${places(share)} % of the step${share > BUDGET_PERCENT ? ", over its budget of 1 %" : ""}`,
  ].filter(Boolean);
  return parts.length > 0 ? `tracking ${parts.join(" · ")}` : "";
}

/** Two significant digits, at least whole ones. */
const places = (value: number): string => (value >= 10 ? value.toFixed(0) : Number(value.toPrecision(2)).toString());
