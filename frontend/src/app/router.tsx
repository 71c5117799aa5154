import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { lookOf, searchOf } from "@/features/features/look";
import { RouteError } from "./RouteError";
import { NotFound } from "./NotFound";
import { Shell } from "./Shell";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const text = (value: unknown): string | undefined => (typeof value === "string" && value ? value : undefined);

const whole = (value: unknown): number | undefined => (Number.isInteger(value) ? (value as number) : undefined);

const index = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/trainings" });
  },
});

const trainings = createRoute({
  getParentRoute: () => root,
  path: "/trainings",
  validateSearch: (search: Record<string, unknown>): { state?: string; kind?: string; q?: string; pick?: string } => ({
    state: text(search.state),
    kind: text(search.kind),
    q: text(search.q),
    pick: text(search.pick),
  }),
  component: lazyRouteComponent(() => import("./routes/trainings"), "Trainings"),
});

const job = createRoute({
  getParentRoute: () => root,
  path: "/jobs/$id",
  component: lazyRouteComponent(() => import("./routes/job"), "JobRoute"),
});

const again = createRoute({
  getParentRoute: () => root,
  path: "/jobs/$id/again",
  validateSearch: (search: Record<string, unknown>): { advised?: boolean } => ({ advised: search.advised === true || undefined }),
  component: lazyRouteComponent(() => import("./routes/again"), "Again"),
});

const compare = createRoute({
  getParentRoute: () => root,
  path: "/compare",
  validateSearch: (search: Record<string, unknown>): { ids?: string; align?: "time" | "step" | "phase" } => ({
    ids: text(search.ids),
    align: (["time", "step", "phase"] as const).find((align) => align === search.align),
  }),
  component: lazyRouteComponent(() => import("./routes/compare"), "Compare"),
});

const studies = createRoute({
  getParentRoute: () => root,
  path: "/studies",
  component: lazyRouteComponent(() => import("@/features/studies/components/StudiesPage"), "StudiesPage"),
});

const study = createRoute({
  getParentRoute: () => root,
  path: "/studies/$id",
  component: lazyRouteComponent(() => import("./routes/study"), "StudyRoute"),
});

const submit = createRoute({
  getParentRoute: () => root,
  path: "/submit",
  component: lazyRouteComponent(() => import("@/features/submit/components/KindsPage"), "KindsPage"),
});

const submitKind = createRoute({
  getParentRoute: () => root,
  path: "/submit/$kind",
  component: lazyRouteComponent(() => import("./routes/submitKind"), "SubmitKind"),
});

const artifacts = createRoute({
  getParentRoute: () => root,
  path: "/artifacts",
  validateSearch: (search: Record<string, unknown>): { type?: string } => ({ type: text(search.type) }),
  component: lazyRouteComponent(() => import("./routes/artifacts"), "Artifacts"),
});

const models = createRoute({
  getParentRoute: () => root,
  path: "/models",
  component: lazyRouteComponent(() => import("./routes/typePages"), "Models"),
});

const datasets = createRoute({
  getParentRoute: () => root,
  path: "/datasets",
  component: lazyRouteComponent(() => import("./routes/typePages"), "Datasets"),
});

const activations = createRoute({
  getParentRoute: () => root,
  path: "/activations",
  component: lazyRouteComponent(() => import("./routes/typePages"), "Activations"),
});

const saes = createRoute({
  getParentRoute: () => root,
  path: "/saes",
  component: lazyRouteComponent(() => import("./routes/typePages"), "Saes"),
});

const sae = createRoute({
  getParentRoute: () => root,
  path: "/saes/$id",
  component: lazyRouteComponent(() => import("./routes/sae"), "SaeRoute"),
});

const features = createRoute({
  getParentRoute: () => root,
  path: "/features/$id",
  validateSearch: (search: Record<string, unknown>) => searchOf(lookOf(search)),
  component: lazyRouteComponent(() => import("./routes/features"), "Features"),
});

const operations = createRoute({
  getParentRoute: () => root,
  path: "/operations",
  component: lazyRouteComponent(() => import("@/features/operations/components/OperationsPage"), "OperationsPage"),
});

const strategies = createRoute({
  getParentRoute: () => root,
  path: "/strategies",
  validateSearch: (search: Record<string, unknown>): { compare?: string } => ({ compare: text(search.compare) }),
  component: lazyRouteComponent(() => import("./routes/strategies"), "Strategies"),
});

const configuration = createRoute({
  getParentRoute: () => root,
  path: "/strategies/$id",
  component: lazyRouteComponent(() => import("./routes/configuration"), "ConfigurationRoute"),
});

const imageSessions = createRoute({
  getParentRoute: () => root,
  path: "/images",
  component: lazyRouteComponent(() => import("@/features/images/components/SessionsPage"), "SessionsPage"),
});

const imageSession = createRoute({
  getParentRoute: () => root,
  path: "/images/$id",
  validateSearch: (search: Record<string, unknown>): { of?: "faces"; group?: number; picture?: number } => ({
    of: search.of === "faces" ? "faces" : undefined,
    group: whole(search.group),
    picture: whole(search.picture),
  }),
  component: lazyRouteComponent(() => import("./routes/imageSession"), "ImageSession"),
});

const system = createRoute({
  getParentRoute: () => root,
  path: "/system",
  component: lazyRouteComponent(() => import("@/features/system/components/SystemPage"), "SystemPage"),
});

const settings = createRoute({
  getParentRoute: () => root,
  path: "/settings",
  component: lazyRouteComponent(() => import("@/features/settings/components/SettingsPage"), "SettingsPage"),
});

const routeTree = root.addChildren([index, trainings, job, again, compare, studies, study, submit, submitKind, strategies, configuration, imageSessions, imageSession, artifacts, models, datasets, activations, saes, sae, features, operations, system, settings]);

export const router = createRouter({
  routeTree,
  defaultPreload: "intent",
  defaultErrorComponent: RouteError,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
