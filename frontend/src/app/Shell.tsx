import { ActionIcon, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { IconActivity, IconAdjustmentsHorizontal, IconBox, IconChartLine, IconFileText, IconGridDots, IconListDetails, IconMoon, IconPhoto, IconPlus, IconServer2, IconSitemap, IconSun, IconTopologyStar, IconWaveSine } from "@tabler/icons-react";
import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { ConnectionIndicator } from "@/components/ui/ConnectionIndicator";
import { Wordmark } from "@/components/ui/Wordmark";
import { SessionGate } from "./SessionGate";
import classes from "./Shell.module.css";

const PAGES = [
  { to: "/trainings", label: "Trainings", Icon: IconListDetails },
  { to: "/studies", label: "Studies", Icon: IconSitemap },
  { to: "/submit", label: "New job", Icon: IconPlus },
  { to: "/models", label: "Models", Icon: IconTopologyStar },
  { to: "/datasets", label: "Datasets", Icon: IconFileText },
  { to: "/activations", label: "Activations", Icon: IconWaveSine },
  { to: "/saes", label: "SAEs", Icon: IconGridDots },
  { to: "/strategies", label: "Strategies", Icon: IconChartLine },
  { to: "/images", label: "Images", Icon: IconPhoto },
  { to: "/artifacts", label: "Artifacts", Icon: IconBox },
  { to: "/operations", label: "Operations", Icon: IconActivity },
  { to: "/system", label: "System", Icon: IconServer2 },
  { to: "/settings", label: "Settings", Icon: IconAdjustmentsHorizontal },
] as const;

/** The frame of every page: where one can go, and how the data comes. */
export function Shell() {
  const nav = useCurrentInSight();
  return (
    <SessionGate>
      <div className={classes.shell}>
        <a href="#content" className={classes.skip}>
          Skip to content
        </a>
        <div className={classes.side}>
          <div className={classes.rail}>
            <Link to="/trainings" className={classes.brand}>
              <Wordmark />
            </Link>
            <nav className={classes.nav} aria-label="Pages" ref={nav}>
              {PAGES.map(({ to, label, Icon }) => (
                <Link key={to} to={to} className={classes.link} activeProps={{ "data-active": true }}>
                  <Icon size={17} stroke={1.6} aria-hidden="true" />
                  <span className={classes.label}>{label}</span>
                </Link>
              ))}
            </nav>
            <div className={classes.foot}>
              <ConnectionIndicator />
              <SchemeSwitch />
            </div>
          </div>
        </div>
        <div className={classes.content}>
          <Outlet />
        </div>
      </div>
    </SessionGate>
  );
}

/** On a phone the pages' row scrolls sideways: the current one is kept in sight. */
function useCurrentInSight() {
  const nav = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  useEffect(() => {
    nav.current?.querySelector("[data-active]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [pathname]);
  return nav;
}

function SchemeSwitch() {
  const { setColorScheme } = useMantineColorScheme();
  const next = useComputedColorScheme("light") === "dark" ? "light" : "dark";
  const Icon = next === "light" ? IconSun : IconMoon;
  return (
    <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`Switch to ${next}`} onClick={() => setColorScheme(next)}>
      <Icon size={16} stroke={1.6} />
    </ActionIcon>
  );
}
