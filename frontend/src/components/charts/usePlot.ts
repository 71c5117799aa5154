import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useEffectEvent, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { type Range, optionsOf } from "./options";
import type { Rule } from "./rules";

type Options = Omit<Parameters<typeof optionsOf>[0], "width" | "rangeOf" | "rulesOf">;

interface Input extends Options {
  data: uPlot.AlignedData;
  range: Range;
  rules?: Rule[];
  /** The chart is made anew when this changes: its lines and its axis stand in it. */
  identity: string;
}

const NO_RULES: Rule[] = [];

/** A chart in the element the returned refs name; it follows its data, its range, the width and the colours. */
export function usePlot({ data, range, rules = NO_RULES, identity, onCursor, ...options }: Input) {
  const scheme = useComputedColorScheme("light");
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shown = useRef({ range, rules });
  const point = useEffectEvent(onCursor);
  const make = useEffectEvent((element: HTMLElement) => {
    const rangeOf = () => shown.current.range;
    const rulesOf = () => shown.current.rules;
    return new uPlot(optionsOf({ ...options, width: element.clientWidth, rangeOf, rulesOf, onCursor: point }), data, element);
  });

  useEffect(() => {
    const element = frame.current!;
    const chart = make(element);
    plot.current = chart;
    const resize = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: chart.height }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [scheme, identity]);

  useEffect(() => {
    shown.current = { range, rules };
    plot.current?.setData(data);
  }, [data, range, rules]);

  return { frame, plot };
}
