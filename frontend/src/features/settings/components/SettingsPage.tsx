import { SegmentedControl, useMantineColorScheme } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Fragment } from "react";
import { FailedRead } from "@/components/ui/Notice";
import { Page, Section } from "@/components/ui/Page";
import { Prose } from "@/components/ui/Prose";
import { type Column, Table } from "@/components/ui/Table";
import { api } from "@/lib/api/client";
import type { Json, Setting } from "@/types/api";

const SCHEMES = [
  { value: "auto", label: "System" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
];

const show = (value: Json): string => (value === null ? "–" : typeof value === "string" ? value : JSON.stringify(value));
const isChanged = (setting: Setting): boolean => setting.value !== null && show(setting.value) !== show(setting.default);

/** A long name that may be broken after its underscores, and nowhere else. */
function breakable(name: string) {
  return name.split(/(?<=_)/).map((part, i) => (
    <Fragment key={i}>
      {part}
      <wbr />
    </Fragment>
  ));
}

const COLUMNS: Column<Setting>[] = [
  { title: "Variable", cell: (item) => <span className="mono">{breakable(item.name)}</span> },
  { title: "Value", cell: (item) => <span className="mono" style={{ fontWeight: isChanged(item) ? 700 : 400 }}>{show(item.value)}</span> },
  { title: "Default", cell: (item) => <span className="mono dim">{show(item.default)}</span>, secondary: true },
  { title: "What it does", cell: (item) => <Prose text={item.description} />, secondary: true },
];

/** How this page looks, and how the server is set up. */
export function SettingsPage() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const { data, error, refetch } = useQuery({
    queryKey: ["settings"],
    queryFn: ({ signal }) => api<{ items: Setting[] }>("/settings", { signal }),
  });
  return (
    <Page title="Settings">
      <Section title="Appearance">
        <SegmentedControl
          size="xs"
          aria-label="Theme"
          data={SCHEMES}
          value={colorScheme}
          onChange={(scheme) => setColorScheme(scheme as typeof colorScheme)}
        />
      </Section>
      <Section title="Server" aside={<span className="dim">Set by environment variables; a change takes effect at the next start</span>}>
        {error && !data && <FailedRead error={error} retry={() => void refetch()} />}
        {data && <Table label="Settings" columns={COLUMNS} items={data.items} keyOf={(item) => item.name} />}
      </Section>
    </Page>
  );
}
