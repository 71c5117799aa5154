import { Select } from "@mantine/core";
import { useEffect, useEffectEvent, useMemo } from "react";
import { DensityBars } from "@/components/charts/DensityBars";
import { FailedRead } from "@/components/ui/Notice";
import { Page } from "@/components/ui/Page";
import { count } from "@/lib/format/numbers";
import type { FeatureIndex } from "@/types/api";
import { useArtifact, useDensities, useFeatures, useIndex } from "../api/queries";
import type { Look } from "../look";
import { FeatureDetail } from "./FeatureDetail";
import { FeatureTable } from "./FeatureTable";
import classes from "./Features.module.css";
import { Filters } from "./Filters";

interface FeaturesPageProps {
  id: string;
  look: Look;
  onLook: (changes: Partial<Look>) => void;
}

/** The features of an index: on the left which there are, on the right what one of them does. */
export function FeaturesPage({ id, look, onLook }: FeaturesPageProps) {
  const { data: index, error, refetch } = useIndex(id);
  const name = useArtifact(id).data?.name || "Features";
  if (error && !index) {
    return (
      <Page title="Features">
        <FailedRead error={error} retry={() => void refetch()} />
      </Page>
    );
  }
  if (!index) return <Page title={name}> </Page>;
  const sae = index.saes.find((each) => each.sae === look.sae) ?? index.saes[0]!;
  const choices = index.saes.map((each) => each.sae);
  return (
    <Page
      title={name}
      meta={
        <>
          <span>{count(sae.tokens)} tokens</span>
          <span>
            {count(sae.alive)} of {count(sae.d_sae)} features fire
          </span>
          <span>{count(sae.labelled)} labelled</span>
        </>
      }
      actions={choices.length > 1 && <Select size="xs" aria-label="SAE" data={choices} value={sae.sae} allowDeselect={false} onChange={(next) => onLook({ sae: next ?? undefined, feature: undefined })} />}
    >
      <Browser key={sae.sae} index={index} sae={sae.sae} look={look} onLook={onLook} />
    </Page>
  );
}

interface BrowserProps {
  index: FeatureIndex;
  sae: string;
  look: Look;
  onLook: (changes: Partial<Look>) => void;
}

function Browser({ index, sae, look, onLook }: BrowserProps) {
  const features = useFeatures(index.id, sae, look);
  const items = useMemo(() => features.data?.pages.flatMap((page) => page.items) ?? [], [features.data]);
  const numbers = useMemo(() => items.map((item) => item.feature), [items]);
  const open = (feature: number | undefined) => onLook({ feature });
  const step = (by: number) => {
    const at = look.feature === undefined ? -1 : numbers.indexOf(look.feature);
    const next = numbers[Math.max(0, at + by)];
    if (next !== undefined) open(next);
  };
  useStepKeys(step);
  return (
    <div className={classes.browser} data-open={look.feature !== undefined || undefined}>
      <div className={classes.list}>
        <Filters look={look} total={features.data?.pages[0]?.total ?? null} onLook={onLook} />
        {features.error && !features.data && <FailedRead error={features.error} retry={() => void features.refetch()} />}
        <FeatureTable
          items={items}
          look={look}
          onLook={onLook}
          hasMore={features.hasNextPage}
          onMore={() => !features.isFetchingNextPage && void features.fetchNextPage()}
          isPending={features.isPending}
        />
      </div>
      <div className={classes.detail}>
        {look.feature === undefined ? (
          <Overview id={index.id} sae={sae} />
        ) : (
          <FeatureDetail key={look.feature} id={index.id} sae={sae} feature={look.feature} labeller={index.labeller} onOpen={open} onStep={step} />
        )}
      </div>
    </div>
  );
}

/** What stands where no feature is chosen yet. */
function Overview({ id, sae }: { id: string; sae: string }) {
  const { data } = useDensities(id, sae);
  return (
    <>
      <h2>Firing densities</h2>
      <p className="dim">How many features fire on which share of the tokens. {data && data.never > 0 && `${count(data.never)} never fire.`}</p>
      <div className={classes.overview}>{data && <DensityBars label="Firing densities" densities={data} />}</div>
      <p className={`dim ${classes.hint}`}>
        Choose a feature, or step through them with <kbd>j</kbd> and <kbd>k</kbd>.
      </p>
    </>
  );
}

const STEPS: Record<string, number> = { j: 1, k: -1 };

/** `j` and `k` step through the list, wherever the reader is but in a field. */
function useStepKeys(step: (by: number) => void): void {
  const press = useEffectEvent((event: KeyboardEvent) => {
    const by = STEPS[event.key];
    const isTyping = (event.target as HTMLElement).closest("input, textarea, select, [contenteditable]") !== null;
    if (by === undefined || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    step(by);
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => press(event);
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
}
