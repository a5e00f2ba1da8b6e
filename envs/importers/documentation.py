"""Writes docs/rollouts.md from the record's schema and the registry of formats:
`python -m berrypick.envs.importers.documentation > docs/rollouts.md`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from ...retrieval_index.sealed import SEAL
from ..record_schema import EpisodeRecord, HitRecord, QuestionRecord, TokenRecord, TurnRecord, UsageRecord
from .mapped import MAPPED
from .opening import known_importers

__all__ = ["rollouts_page"]

_HEAD = """# Rollouts

<!-- generated: python -m berrypick.envs.importers.documentation > docs/rollouts.md -->

A rollouts file holds episodes that were played. `berrypick report FILE...` measures them, whichever system wrote them:

    berrypick report validation/40.jsonl          # for example verl's: the format is recognised by content
    berrypick report outputs.jsonl --map question=prompt answer=prediction gold=label
    berrypick convert validation/40.jsonl --out rollouts.jsonl.gz
    berrypick convert rollouts.jsonl.gz --to atif --out atif.jsonl   # or inspect, trec, qrels: hubs.md

Files may be gzipped and have any size; a line, a value, or a transcript in a text log may have at most 64 MiB, and a
value at most 100 levels. A line that cannot be read is left out and listed; `--strict` stops there instead. For a file
of another system, one line on standard error says what was recognised.

## What all importers do

- **Question.** The text after the last "Question:" of the last user message before the first reply, else that message.
  Its id is a digest of its text and of the right answers, so equal questions of different files are compared.
- **Group.** The id that the system writes, if it writes one; else equal prompts are one group. Rollouts of different
  training steps are never in one group. `sample_index` counts within a group.
- **Turns.** A turn searches, answers or is invalid. A tool searches if its name contains "search" or if it takes a
  query. Other tools are turns without queries, with the tool's name in the field `tool`; what they return is not
  counted as passages. Tools such as `answer` and `submit_final_result` answer.
- **Passages.** Real ids where a result has one (`id`, `docid`, `url` and the like). Other passages get a digest of
  title and text, so equal passages have equal ids in every file.
- **Answer.** The last `<answer>` after the last observation. Chats without such tags answer in their last message: in
  `\\boxed{}`, after "Final answer:", or as a whole.
- **Scores.** EM, sub-EM and F1 are ours, from the right answers in the file. The system's own reward is kept in
  `reward`, its other numbers in `scores`.
- **What a format lacks is absent**, never zero, and named with the reason under `absent` in the report's JSON.
  `temperature` and `seed` keep their defaults where a format does not tell them.
- **Text is kept as it is.** Only words of chat templates between turns are dropped.

In Python, records come one by one:

```python
from berrypick.envs.importers import open_rollouts

source = open_rollouts("rollouts.jsonl")
right = sum(record.em == 1 for record in source.records())
print(right, source.num_skipped, source.summary())  # 2 0 berrypick rollouts: 3 rollouts of 2 questions
```

A format of yours takes ten lines: [extending.md](extending.md).
"""

_CHECKED = """
The readers of NeMo-Gym, Search-R1's logs and LongCat are tested on files that these systems wrote; those of Inspect
0.3.285 and verifiers 0.4 were tried on such files. The others follow the source code of verl 0.9.1, TRL 1.16, SkyRL
0.3, FlashRAG 0.1.2 and rLLM, and models of ATIF 1.7 in public code; their tests use hand-made files. The legacy results
of verifiers are no longer in its source.
"""

_MAP = """
`--map OURS=THEIRS ...` reads rows of no known format: JSONL, a JSON list or Parquet. THEIRS is a field of theirs; dots
lead into objects and lists, as in `output.pred` or `choices.0.text`.
"""

_RECORD = """
berrypick's own format, `rollouts.jsonl`, is JSONL in UTF-8 with one episode a line. Only the fields marked "yes" are
required. Fields that are not listed are preserved. A measure whose fields are missing is absent from the report.

Every row that berrypick writes ends with its checksum. A row whose content was changed or damaged is left out and
named; to change rows on purpose, drop their checksums with `jq -c 'del(.sha256)'`. `head`, `cat` and `jq` may select,
join and reformat rows. A file with fewer rows than `num_rollouts` is reported with a note, and refused with `--strict`.
Rows without a checksum are read as before.
"""

_CHECKSUM = (
    f"`{SEAL}`", "text", "",
    "SHA-256 of the row without this field: its JSON with sorted keys, `, ` and `: ` between parts, characters "
    "that are not escaped, and 1 for 1.0",
)  # fmt: skip

_EXAMPLE = """## An example

Three rollouts of two questions, with the required fields and the exact match of the answers. `berrypick report` gives
pass@1 0.75: one of two rollouts answers the first question, the only one answers the second.
"""


def _example() -> list[dict[str, Any]]:
    """The rows of the example."""
    when = {"id": "q1", "text": "When was Babbage born?", "answers": ["1791"]}
    where = {"id": "q2", "text": "Where was Babbage born?", "answers": ["London"]}
    search = {
        "text": "<search> Babbage born </search>",
        "action": "search",
        "queries": ["Babbage born"],
        "hits": [[{"id": "bab-1"}]],
        "observation": "Charles Babbage was born in 1791.",
    }
    rows = []
    for question, index, turns, said, em in (
        (when, 0, [search], "1791", 1.0),
        (when, 1, [], "1800", 0.0),
        (where, 0, [], "London", 1.0),
    ):
        answer = {"text": f"<answer> {said} </answer>", "action": "answer"}
        row = {"question": question, "group_id": question["id"], "sample_index": index, "turns": [*turns, answer]}
        rows.append({**row, "answer_raw": said, "em": em})
    return rows


_MODELS: Mapping[str, type[BaseModel]] = {
    "An episode: one line": EpisodeRecord,
    "`question`": QuestionRecord,
    "An element of `turns`": TurnRecord,
    "An element of `hits`": HitRecord,
    "`tokens`": TokenRecord,
    "`usage`": UsageRecord,
}


def rollouts_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD, "## Formats", _formats(), _CHECKED, "## Fields of `--map`", _MAP]
    parts.append(_table(("ours", "meaning"), [(f"`{name}`", meaning) for name, meaning in MAPPED.items()]))
    parts += ["## The record", _RECORD]
    for title, model in _MODELS.items():
        parts += [f"### {title}", _schema(model, [_CHECKSUM] if model is EpisodeRecord else [])]
    lines = "\n".join(json.dumps(row) for row in _example())
    parts.append(f"{_EXAMPLE}\n```jsonl rollouts\n{lines}\n```")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _formats() -> str:
    """Every format with what it gives and lacks."""
    rows = [
        (
            f"`{importer.name}`",
            f"{importer.title}: {importer.summary}" if importer.summary else importer.title,
            importer.gives,
            "; ".join(f"{part}" for part in importer.lacks) or "nothing",
        )
        for importer in known_importers()
    ]
    return _table(("`--format`", "files", "gives", "lacks"), rows)


def _schema(model: type[BaseModel], more: Sequence[tuple[str, ...]]) -> str:
    """A table of a model's fields, and of `more` that no model has."""
    rows: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        need = "yes" if field.is_required() else ""
        rows.append((f"`{name}`", _type_name(field.annotation), need, field.description or ""))
    return _table(("field", "type", "required", "meaning"), [*rows, *more])


_NAMES: Mapping[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}


_PLURALS = {
    "text": "texts", "number": "numbers", "whole number": "whole numbers", "object": "objects", "pair": "pairs",
    "true or false": "true or false",
}  # fmt: skip


def _type_name(annotation: Any) -> str:
    """The type in words: "list of lists of texts"."""
    if annotation in _NAMES:
        return _NAMES[annotation]
    origin, arguments = get_origin(annotation), [a for a in get_args(annotation) if a is not type(None)]
    if origin is list:
        inner = _type_name(arguments[0])
        return "list of " + _PLURALS.get(inner, inner.replace("list", "lists", 1))
    if origin is tuple:
        return "pair"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "object"
    if all(isinstance(argument, str) for argument in arguments):
        return ", ".join(f'"{argument}"' for argument in arguments)
    return _type_name(arguments[0])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows])


if __name__ == "__main__":
    sys.stdout.write(rollouts_page())
