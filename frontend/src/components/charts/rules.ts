import type uPlot from "uplot";
import classes from "./Chart.module.css";

/** Words stand above the curves, in a strip of this height. */
export const RULE_LABEL_PX = 16;

/** A thin vertical rule with words at its top: something changed here. */
export interface Rule {
  at: number;
  label: string;
  /** Instead of the label where there is no room for it. */
  short: string;
}

const LABEL_PX = 140;
const SHORT_PX = 16;

/** Sets the rules that lie in the range shown; they are elements over the chart, so that the theme colours them. */
export function placeRules(chart: uPlot, rules: Rule[]): void {
  const { min = 0, max = 0 } = chart.scales.x as { min?: number; max?: number };
  const shown = rules.filter((rule) => rule.at >= min && rule.at <= max).map((rule) => ({ ...rule, left: chart.valToPos(rule.at, "x") }));
  const elements = shown.map(({ left, ...rule }, i) => ruleElement(left, rule, roomOf(left, shown[i + 1]?.left, chart.over.clientWidth)));
  chart.over.querySelectorAll(`.${classes.rule}`).forEach((element) => element.remove());
  chart.over.prepend(...elements);
}

type Room = "right" | "left" | "short" | "none";

function roomOf(left: number, next: number | undefined, width: number): Room {
  if ((next ?? width) - left >= LABEL_PX) return "right";
  if (next === undefined && left >= LABEL_PX) return "left";
  return (next ?? width) - left >= SHORT_PX ? "short" : "none";
}

function ruleElement(left: number, { label, short }: Omit<Rule, "at">, room: Room): HTMLElement {
  const element = document.createElement("div");
  element.className = classes.rule!;
  element.dataset.room = room;
  element.dataset.testid = "rule";
  element.style.left = `${left}px`;
  element.style.top = `-${RULE_LABEL_PX}px`;
  const text = document.createElement("span");
  text.textContent = room === "short" ? short : label;
  element.append(text);
  return element;
}
