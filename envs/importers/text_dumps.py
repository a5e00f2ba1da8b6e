"""Dumps whose response is one decoded text: verl, SkyRL, and evaluations of Search-R1."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..record import HitRecord, TurnRecord
from .fields import number, numbers, parsed, texts, whole
from .files import Row
from .registry import register_importer
from .rollout import Rollout
from .transcript import TAGGED, answer_of, question_in, turns_of_text

__all__: list[str] = []

_V1_UID = re.compile(r"(.+)_\d+_\d+\Z")
_ENDED_EARLY = ("length", "max_turns", "max_length", "error", "abort")
_NO_COUNTS = {"token counts": "the dump holds text without tokens"}
_LACKS = {
    "token probabilities": "the dump holds text without tokens",
    "evidence": "the dump does not say which passages are relevant",
    **_NO_COUNTS,
}


def _text(row: Row, name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a text")
    return value


@register_importer(
    "verl",
    title="verl dump",
    recognise=lambda row: {"input", "output", "step"} <= row.keys() and bool({"gts", "score"} & row.keys()),
    summary="`trainer.validation_data_dir` and `trainer.rollout_data_dir` of verl, JSONL; also with the columns of "
    "`berrypick.envs.adapters.compute_score`",
    gives="right answers, queries, passages shown in the text (real ids with our columns), step, group (`uid`)",
    lacks=_LACKS,
)
def read_verl(row: Row) -> Rollout:
    """Reads a line. Text is decoded without special tokens, so turns are found by their tags."""
    prompt, response = _text(row, "input"), _text(row, "output")
    turns = turns_of_text(response, tagged=bool(TAGGED.search(prompt) or TAGGED.search(response)))
    answer = answer_of(turns)
    if isinstance(row.get("berrypick_answer"), str):
        answer = row["berrypick_answer"] or None
    queries, passages = parsed(row.get("berrypick_queries")), parsed(row.get("berrypick_passages"))
    if isinstance(queries, list) and isinstance(passages, list):
        _put_ids(turns, [str(query) for query in queries], [str(key) for key in passages])
    group, source = _verl_group(row)
    return Rollout(
        question=question_in(prompt),
        answers=texts(row.get("gts")),
        turns=turns,
        answer=answer,
        reward=number(row.get("score")),
        prompt=prompt,
        group=group,
        group_from=source,
        step=whole(row["step"]),
        env=str(row.get("data_source") or ""),
        metadata={"group": group} if source == "berrypick_group" else {},
        scores=numbers(row, "score", "step", "berrypick_num_queries"),
    )


def _verl_group(row: Mapping[str, Any]) -> tuple[str | None, str]:
    """The group's id and the column it is from. The v1 trainer writes GROUP_ROLLOUT_OUTPUT into `uid`."""
    for name in ("uid", "berrypick_group"):
        if row.get(name) not in (None, ""):
            key = str(row[name])
            found = _V1_UID.match(key) if name == "uid" else None
            return (found[1] if found else key), name
    return None, ""


def _put_ids(turns: Sequence[TurnRecord], queries: Sequence[str], keys: Sequence[str]) -> None:
    """Puts the logged ids in the place of the digests; the log is exact even where verl cut the text."""
    searches = [turn for turn in turns if turn.action == "search" and turn.queries]
    if not searches:
        return
    if [query for turn in searches for query in turn.queries] != list(queries):
        if len(searches) == len(queries):
            for turn, query in zip(searches, queries, strict=True):
                turn.queries = [query]
        else:  # the text does not tell the turns: all in the first
            for turn in searches[1:]:
                turn.queries, turn.hits = [], []
            searches[0].queries, searches = list(queries), searches[:1]
    counts = [sum(map(len, turn.hits)) for turn in searches]
    if sum(counts) != len(keys):
        share, rest = divmod(len(keys), len(searches))
        counts = [share] * len(searches) if rest == 0 else [len(keys), *[0] * (len(searches) - 1)]
    at = 0
    for turn, count in zip(searches, counts, strict=True):
        sizes = [len(ranking) for ranking in turn.hits]
        sizes = sizes if sum(sizes) == count else [count] if count else []
        turn.hits = []
        for size in sizes:
            turn.hits.append([HitRecord(id=key) for key in keys[at : at + size]])
            at += size


@register_importer(
    "skyrl",
    title="SkyRL evaluation dump",
    recognise=lambda row: {"input_prompt", "output_response"} <= row.keys(),
    summary="`trainer.dump_eval_results` of SkyRL, JSONL, one file per data set",
    gives="right answers, queries, passages shown in the text, reward",
    lacks=_LACKS,
)
def read_skyrl(row: Row) -> Rollout:
    """Reads a line. A list of scores holds the reward of each token; their sum is the reward."""
    prompt, response = _text(row, "input_prompt"), _text(row, "output_response")
    extras = row.get("env_extras") if isinstance(row.get("env_extras"), Mapping) else {}
    assert isinstance(extras, Mapping)
    spec = extras.get("reward_spec") or extras.get("reward_model") or {}
    info = extras.get("extra_info")
    turns = turns_of_text(response, tagged=bool(TAGGED.search(prompt) or TAGGED.search(response)))
    score = row.get("score")
    rewards = [number(item) or 0.0 for item in score] if isinstance(score, list) else None
    asked = info.get("question") if isinstance(info, Mapping) else None
    answer = answer_of(turns)
    stopped = str(row.get("stop_reason") or "")
    return Rollout(
        question=asked if isinstance(asked, str) and asked.strip() else question_in(prompt),
        answers=texts(spec.get("ground_truth") if isinstance(spec, Mapping) else None),
        turns=turns,
        answer=answer,
        reward=number(score) if rewards is None else sum(rewards),
        prompt=prompt,
        env=str(row.get("data_source") or row.get("env_class") or ""),
        truncated=stopped in _ENDED_EARLY if stopped else None,
    )


@register_importer(
    "search-r1-eval",
    title="Search-R1 evaluation dump",
    recognise=lambda row: {"question", "full_output"} <= row.keys(),
    summary="evaluation scripts of Search-R1 that write question, golden answers and the full output, JSONL or JSON",
    gives="right answers, queries, passages shown in the text",
    lacks=_LACKS,
)
def read_search_r1_eval(row: Row) -> Rollout:
    """Reads a record."""
    response = _text(row, "full_output")
    turns = turns_of_text(response)
    said = row.get("predicted")
    answer = answer_of(turns)
    golden = next((row[name] for name in ("golden", "golden_answers", "answers", "target") if name in row), None)
    return Rollout(
        question=_text(row, "question"),
        answers=texts(golden),
        turns=turns,
        answer=answer if answer is not None or not isinstance(said, str) or not said.strip() else said.strip(),
        reward=number(row.get("reward", row.get("score", row.get("correct")))),
        step=whole(row.get("step")),
        env=str(row.get("dataset") or ""),
        scores=numbers(row, "sample_idx"),
    )
