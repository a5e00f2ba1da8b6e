"""Records the live view of a training run as an animated SVG, docs/live.svg.

The command runs in tmux, in a terminal of 100 x 30 characters, and the screen is read twice a second. What the picture
shows is what the terminal showed; it only plays faster, and two equal screens in succession are one frame. Lines that
frames share are written once.

    python docs/tools/record_live.py berrypick train --env berrypick/World-v0 --sft-steps 520 --steps 40 \
      --out runs/film > docs/live.svg
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from html import escape

from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

WIDTH, HEIGHT = 100, 30
_CELL, _LINE, _TOP = 7.25, 16, 34
_INK, _PAPER = "#d8dee9", "#1e222a"
_SECONDS = 24.0
"""How long the animation plays, whatever the run took."""

Frame = tuple[str, ...]
"""The lines of a screen, with their colours as ANSI codes."""


def record(command: Sequence[str], *, every_s: float = 0.5) -> Iterator[tuple[float, Frame]]:
    """Runs the command in tmux and yields (seconds since its start, screen) until it ends, the last screen included."""
    name = f"film-{time.time_ns()}"
    call = f"{shlex.join(command)}; tmux wait-for -S {name}; sleep 600"
    start = ["new-session", "-d", "-s", name, "-x", str(WIDTH), "-y", str(HEIGHT), call]
    subprocess.run(["tmux", "-f", "/dev/null", *start], check=True)
    done = subprocess.Popen(["tmux", "wait-for", name])
    began = time.monotonic()
    try:
        ended = False
        while not ended:
            ended = done.poll() is not None
            screen = subprocess.run(["tmux", "capture-pane", "-e", "-p", "-t", name], capture_output=True, text=True)
            yield time.monotonic() - began, tuple(line.rstrip() for line in screen.stdout.splitlines())
            time.sleep(every_s)
    finally:
        done.kill()
        subprocess.run(["tmux", "kill-session", "-t", name], check=False)


def animation(frames: Sequence[tuple[float, Frame]], title: str, *, most: int = 120) -> str:
    """The frames as one SVG; each is shown for its share of the run.

    Args:
        frames: (seconds, screen) in order.
        title: written above the screen.
        most: number of frames; of more, evenly spread ones are kept, and always the last.
    """
    changed = [frame for at, frame in enumerate(frames) if not at or frame[1] != frames[at - 1][1]]
    step = max(1, -(-len(changed) // most))
    kept = changed[::-1][::step][::-1]
    begin, end = kept[0][0], frames[-1][0] * 1.08 + 1e-9
    shares = [(at - begin) / (end - begin) for at, _ in kept] + [1.0]
    names: dict[str, str] = {}
    rules, screens = [], []
    for number, (_, screen) in enumerate(kept):
        lines = [
            f'<use href="#{names.setdefault(line, f"l{len(names)}")}" y="{_TOP + row * _LINE}"/>'
            for row, line in enumerate(screen)
            if line
        ]
        screens.append(f'<g class="f" id="f{number}">{"".join(lines)}</g>')
        low, high = 100 * shares[number], 100 * shares[number + 1]
        before = f"0%{{visibility:hidden}}{low:.3f}%" if number else "0%"
        after = f"{high:.3f}%{{visibility:hidden}}" if high < 100 else ""
        rules.append(
            f"@keyframes k{number}{{{before}{{visibility:visible}}{after}}}"
            f"#f{number}{{animation:k{number} {_SECONDS:g}s step-end infinite}}"
        )
    rows = [f'<text id="{name}" xml:space="preserve">{_spans(line)}</text>' for line, name in names.items()]
    last = len(kept) - 1
    still = f"@media (prefers-reduced-motion: reduce){{.f{{animation:none!important}}#f{last}{{visibility:visible}}}}"
    width, height = WIDTH * _CELL + 24, _TOP + HEIGHT * _LINE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="12" fill="{_INK}">'
        f"<title>{escape(title)}</title><style>.f{{visibility:hidden}}{''.join(rules)}{still}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="{_PAPER}"/>'
        f'<text x="12" y="18" opacity=".7">$ {escape(title if len(title) < WIDTH else title[: WIDTH - 3] + "…")}</text>'
        f"<defs>{''.join(rows)}</defs>{''.join(screens)}</svg>\n"
    )


def _spans(line: str) -> str:
    """A line as text at the columns of its cells, so that it looks the same with any font."""
    text = Text.from_ansi(line)
    styles = [""] * len(text.plain)
    for span in text.spans:
        style = span.style if not isinstance(span.style, str) else None
        if style is None:
            continue
        own = style.color is not None and not style.color.is_default
        look = f' fill="{style.color.get_truecolor(SVG_EXPORT_THEME).hex}"' if own and style.color else ""
        look += ' font-weight="bold"' if style.bold else ""
        look += ' opacity=".6"' if style.dim else ""
        for at in range(span.start, span.end):
            styles[at] = look
    parts = []
    for found in re.finditer(r"\S+(?: \S+)*", text.plain):
        at = found.start()
        while at < found.end():
            stop = at
            while stop < found.end() and styles[stop] == styles[at]:
                stop += 1
            piece = text.plain[at:stop]
            place = f'x="{12 + at * _CELL:g}" textLength="{len(piece) * _CELL:g}"'
            parts.append(f"<tspan {place}{styles[at]}>{escape(piece)}</tspan>")
            at = stop
    return "".join(parts)


def main() -> None:
    command = sys.argv[1:]
    frames = list(record(command))
    sys.stderr.write(f"{len(frames)} screens in {frames[-1][0]:.0f} s\n")
    sys.stdout.write(animation(frames, shlex.join(command)))


if __name__ == "__main__":
    main()
