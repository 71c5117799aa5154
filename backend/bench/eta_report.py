"""Writes what `eta.py` found: tables for the terminal and docs/architecture/eta.md, and its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PICTURED = ("slow-start-cached-2", "periodic-evaluated-2", "resume-train-3")
COLUMNS = (
    "", "shown", "10 %", "20 %", "10 %, from 20 %", "20 %, from 20 %", "median error", "band covers", "largest jump",
)  # fmt: skip
SHORT = {"Headway, first of its kind": "first of kind", "told its seconds": "told"}
WIDTH, HEIGHT, MARGIN = 330, 230, 42
LINES = {"Headway": ("#1c5fd4", 2.2), "tqdm": ("#c2570c", 1.1), "rich": ("#2f8f4e", 1.1)}


def write_report(
    results: Sequence[Any], scores: Mapping[str, Mapping[str, Any]], costs: Sequence[float], folder: Path | None
) -> None:
    """Print the tables; with a folder renew eta.md there between its markers, and the picture beside it."""
    text = "\n".join(_tables(scores, costs))
    print(text)
    print("\n".join(_trace_lines(results)))
    if folder is None:
        return
    document = folder / "eta.md"
    head, _, rest = document.read_text().partition("<!-- bench -->\n")
    _, _, tail = rest.partition("<!-- /bench -->")
    lines = "\n".join(["```", *_trace_lines(results), "```"])
    document.write_text(f"{head}<!-- bench -->\n{text}\n\n{lines}\n<!-- /bench -->{tail}")
    (folder / "eta.svg").write_text(_picture([result for result in results if result.trace.name in PICTURED]))


def _tables(scores: Mapping[str, Mapping[str, Any]], costs: Sequence[float]) -> list[str]:
    lines: list[str] = []
    for shape, peers in scores.items():
        lines += [f"**{shape}**", "", "| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
        lines += [f"| {peer} | " + " | ".join(_cells(score)) + " |" for peer, score in peers.items()]
        lines.append("")
    p50, p99 = (costs[int(len(costs) * share)] * 1e6 for share in (0.5, 0.99))
    return [*lines, f"observe + estimate: p50 {p50:.0f} µs, p99 {p99:.0f} µs of processor time"]


def _cells(score: Any) -> list[str]:
    shares = (
        score.shown, score.within_10_from_10, score.within_20_from_10, score.within_10_from_20,
        score.within_20_from_20,
    )  # fmt: skip
    covered = "" if score.covered is None else f"{score.covered:.0%}"
    return [*(f"{share:.0%}" for share in shares), f"{score.median_error:.1%}", covered, f"{score.jump:.0%}"]


def _trace_lines(results: Sequence[Any]) -> list[str]:
    """Of each trace: its seconds, and by peer the moments within 10 % from 20 % on and the median error."""
    peers = [*results[0].moments]
    names = [SHORT.get(peer, peer) for peer in peers]
    lines = [f"{'trace':<30}{'s':>5}  " + "".join(f"{name:>16}" for name in names)]
    for result in results:
        cells = [f"{result.score(peer).within_10_from_20:.0%} {result.score(peer).median_error:.1%}" for peer in peers]
        lines.append(
            f"{result.trace.name:<30}{result.trace.seconds:>5.0f}  " + "".join(f"{cell:>16}" for cell in cells)
        )
    return lines


def _picture(results: Sequence[Any]) -> str:
    """Seconds left over time: the truth dashed, the estimates, Headway's with its band."""
    chosen = sorted(results, key=lambda result: PICTURED.index(result.trace.name))
    panels = "".join(_panel(result, MARGIN + number * (WIDTH + MARGIN)) for number, result in enumerate(chosen))
    width, height = MARGIN + len(chosen) * (WIDTH + MARGIN), HEIGHT + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="11" fill="#444">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{panels}</svg>\n'
    )


def _panel(result: Any, left: float) -> str:
    seconds = result.trace.seconds
    top = 1.6 * seconds

    def x(at: float) -> float:
        return round(left + WIDTH * at / seconds, 1)

    def y(value: float) -> float:
        return round(MARGIN + HEIGHT * (1 - min(max(value, 0), top) / top), 1)

    def at(moment: Any) -> float:
        return moment.share * seconds

    band = [moment for moment in result.moments["Headway"] if moment.low is not None]
    outline = [(x(at(m)), y(m.high)) for m in band] + [(x(at(m)), y(m.low)) for m in reversed(band)]
    parts = [
        f'<text x="{left}" y="{MARGIN - 24}" font-weight="600" fill="#111">{result.trace.name}</text>',
        f'<polygon points="{_points(outline)}" fill="#1c5fd4" opacity="0.15"/>',
        f'<path d="M{x(0)} {y(seconds)}L{x(seconds)} {y(0)}" stroke="#111" stroke-dasharray="4 3"/>',
        f'<path d="M{left} {MARGIN}V{MARGIN + HEIGHT}H{left + WIDTH}" stroke="#bbb" fill="none"/>',
        f'<text x="{left}" y="{MARGIN + HEIGHT + 15}">0 s</text>',
        f'<text x="{left + WIDTH}" y="{MARGIN + HEIGHT + 15}" text-anchor="end">{seconds:.0f} s</text>',
        f'<text x="{left - 4}" y="{y(seconds) + 4}" text-anchor="end">{seconds:.0f}</text>',
    ]
    for number, (peer, (colour, stroke)) in enumerate(LINES.items()):
        line = [(x(at(m)), y(m.guess)) for m in result.moments[peer] if m.guess is not None]
        parts.append(f'<polyline points="{_points(line)}" fill="none" stroke="{colour}" stroke-width="{stroke}"/>')
        parts.append(f'<text x="{left + number * 75}" y="{MARGIN - 8}" fill="{colour}">{peer}</text>')
    parts.append(f'<text x="{left + len(LINES) * 75}" y="{MARGIN - 8}">truth (dashed)</text>')
    return "".join(parts)


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)
