import { type MantineColorsTuple, createTheme } from "@mantine/core";

const accent: MantineColorsTuple = [
  "#eef3ff", "#dce5fc", "#b6c8f5", "#8faaf0", "#6d90ea", "#547ee6", "#3f6de0", "#325fd0", "#2a54ba", "#1e469f",
];

/** Neutral all the way: Mantine's own dark and gray lean to blue. */
const dark: MantineColorsTuple = [
  "#ececee", "#c6c6cc", "#a7a7b0", "#8a8a94", "#3a3a40", "#2d2d32", "#1d1d20", "#131315", "#0e0e10", "#09090a",
];
const gray: MantineColorsTuple = [
  "#fafafa", "#f4f4f5", "#ebebed", "#e0e0e3", "#d0d0d5", "#a8a8b0", "#777780", "#55555e", "#37373d", "#1b1b1f",
];

const red: MantineColorsTuple = [
  "#fcf0f0", "#f7dcdd", "#efb4b7", "#ef8f93", "#ef7479", "#e2585e", "#d0414a", "#c0303a", "#a82832", "#8b1f28",
];

const SANS = '"Inter Variable", system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';
const MONO = 'ui-monospace, "SF Mono", SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace';

export const theme = createTheme({
  primaryColor: "accent",
  primaryShade: { light: 7, dark: 6 },
  colors: { accent, dark, gray, red },
  fontFamily: SANS,
  fontFamilyMonospace: MONO,
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.25rem" },
  headings: { fontFamily: SANS, fontWeight: "600", sizes: { h1: { fontSize: "1.25rem" }, h2: { fontSize: "0.9375rem" } } },
  defaultRadius: 4,
  cursorType: "pointer",
  components: {
    InputWrapper: { defaultProps: { inputWrapperOrder: ["label", "input", "error", "description"] } },
    Button: { defaultProps: { size: "xs" } },
    TextInput: { defaultProps: { size: "sm" } },
    // what was typed stays, and is refused in words: a number that changed by itself would go unseen
    NumberInput: { defaultProps: { size: "sm", hideControls: true, clampBehavior: "none" } },
    Select: { defaultProps: { size: "sm" } },
    Tooltip: { defaultProps: { openDelay: 250, withArrow: false } },
  },
});
