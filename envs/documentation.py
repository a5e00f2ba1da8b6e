"""Writes docs/environments.md from the docstrings: `python -m berrypick.envs.documentation > docs/environments.md`."""

from __future__ import annotations

import inspect
import re
import sys

from . import wrappers
from .formats.turn_format import get_turn_format, turn_format_names
from .questions import EpisodeSpec
from .rewards import REWARD_SUMMARIES
from .search_env import SearchEnv
from .tasks.controls import CONTROLS
from .tasks.own_splits import own_splits
from .tasks.presets import EVALUATION_PRESETS
from .tasks.registry import TASKS, task_arguments
from .vector_env import SearchVectorEnv
from .world.config import WorldConfig

__all__ = ["environments_page"]

_HEAD = """# Environments

<!-- generated: python -m berrypick.envs.documentation > docs/environments.md -->

```python
import berrypick, gymnasium as gym

env = gym.make("berrypick/World-v0", preset="priced")
observation, info = env.reset(seed=0)  # the cook of the mentor of pendugo ?
observation, reward, terminated, truncated, info = env.step("<search> ledger mentor pendugo </search>")
print(observation, info["search/budget_left"])  # ... ledger: the mentor of pendugo is fitulo. ... 2
envs = gym.make_vec("berrypick/World-v0", num_envs=8, vectorization_mode="vector_entry_point")
```

All environments share one specification. They differ in questions, corpus and arguments. Every argument is a text, a
number or true/false, so an `EnvSpec` is JSON. `AsyncVectorEnv` needs `shared_memory=False`.
[extending.md](extending.md) shows how to add an environment, a reward term or a turn format of yours.
"""


def environments_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD, "## One environment: `SearchEnv`", _prose(SearchEnv)]
    parts += ["## A batch of environments: `SearchVectorEnv`", _prose(SearchVectorEnv), "## The ids"]
    for name, kind in TASKS.items():
        parts += [f"### `{name}`", f"{kind.summary[0].upper()}{kind.summary[1:]}.", _prose(kind.make), _arguments(name)]
    parts += ["## Rules of an episode", _prose(EpisodeSpec), "## Splits of a corpus", _prose(own_splits)]
    parts += ["## Settings of the World", _prose(WorldConfig), "## Rewards", "A reward is a sum of weighted terms:"]
    parts.append(_table("term", {f"`{name}`": words for name, words in REWARD_SUMMARIES.items()}))
    formats = {f"`{name}`": _first(type(get_turn_format(name))) for name in turn_format_names()}
    parts += ["## Turn formats", _table("name", formats), "## Presets of `berrypick eval --preset`"]
    parts.append(_table("name", {f"`{name}`": preset.summary for name, preset in EVALUATION_PRESETS.items()}))
    parts += [
        "## Corpus controls: `CorpusControl`, `berrypick eval --control`, `berrypick run real_corpora`",
        _table("name", {f"`{name}`": words for name, words in CONTROLS.items()}),
        "## Wrappers",
        _table("name", {f"`{name}`": _first(getattr(wrappers, name)) for name in wrappers.__all__}),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _prose(documented: object) -> str:
    """A docstring with its headings in bold and the text below them without indentation."""
    out = []
    for line in (inspect.getdoc(documented) or "").splitlines():
        heading = line and not line[0].isspace() and len(line) < 30 and not line.endswith((".", ")", ","))
        text = line.strip()
        out += ["", f"**{text.rstrip(':')}**", ""] if heading else [f"- {text}" if _is_item(line) else text]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out))


def _is_item(line: str) -> bool:
    """ "    name: what it is" of an Attributes section."""
    name, colon, _ = line.strip().partition(": ")
    return line.startswith("    ") and not line.startswith("     ") and bool(colon) and name.isidentifier()


def _first(documented: object) -> str:
    return " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())


def _arguments(name: str) -> str:
    defaults = task_arguments(name).items()
    return _table("argument", {f"`{argument}`": f"`{default!r}`" for argument, default in defaults}, "default")


def _table(left: str, rows: dict[str, str], right: str = "what it is") -> str:
    lines = [f"| {left} | {right} |", "|---|---|", *(f"| {name} | {words} |" for name, words in rows.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(environments_page())
