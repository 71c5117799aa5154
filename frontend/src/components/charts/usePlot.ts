import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useEffectEvent, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { type Range, optionsOf } from "./options";

type Options = Omit<Parameters<typeof optionsOf>[0], "width" | "rangeOf">;

interface Input extends Options {
  data: uPlot.AlignedData;
  range: Range;
  /** The chart is made anew when this changes: its lines and its axis stand in it. */
  identity: string;
}

/** A chart in the element the returned refs name; it follows its data, its range, the width and the colours. */
export function usePlot({ data, range, identity, onCursor, ...options }: Input) {
  const scheme = useComputedColorScheme("light");
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shown = useRef(range);
  const point = useEffectEvent(onCursor);
  const make = useEffectEvent((element: HTMLElement) => {
    const rangeOf = () => shown.current;
    return new uPlot(optionsOf({ ...options, width: element.clientWidth, rangeOf, onCursor: point }), data, element);
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
    shown.current = range;
    plot.current?.setData(data);
  }, [data, range]);

  return { frame, plot };
}
