// Before anything is drawn: the remembered theme, or the system's, so that no page flashes in the other one.
{
  let scheme = null;
  try {
    scheme = localStorage.getItem("headway-color-scheme");
  } catch {
    // Storage may be closed to us; the system's theme serves.
  }
  if (scheme !== "light" && scheme !== "dark") scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.setAttribute("data-mantine-color-scheme", scheme);
}
