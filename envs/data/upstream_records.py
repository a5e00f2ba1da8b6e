"""Converts records of upstream question-answering formats to question lines of our layout, and their passages.

The fields of a record decide its format, never the name of a file. Known are HotpotQA's own JSON and 2WikiMultiHopQA,
the columnar form of data hubs, IRCoT, MuSiQue, StrategyQA, Bamboogle, FanOutQA, FlashRAG, and the training rows of
Search-R1 and verl.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...retrieval_index.corpus import Passage, passage_from_text
from .evidence import supporting

__all__ = ["FORMATS", "UpstreamFormat", "passage_from_text"]

Converted = tuple[dict[str, Any], list[Passage]]
"""A line of our layout, and the passages in the record."""


def _join(sentences: Iterable[str]) -> str:
    """Joins sentences. Those of HotpotQA start with a space, those of 2WikiMultiHopQA do not."""
    parts = list(sentences)
    return ("" if any(part[:1].isspace() for part in parts[1:]) else " ").join(parts)


def _line(question: str, answers: list[str], key: Any, **metadata: Any) -> dict[str, Any]:
    digest = hashlib.sha1(question.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:12]
    known = {name: value for name, value in metadata.items() if value is not None}
    return {"id": str(key) if key not in (None, "") else f"q-{digest}", "question": question, "golden_answers": answers,
            "metadata": known}  # fmt: skip


def _titled(
    record: Mapping[str, Any], contexts: Iterable[tuple[str, list[str]]], facts: list[tuple[str, int]], key: Any
) -> Converted:
    passages = {title: passage_from_text(title, _join(sentences)) for title, sentences in contexts}
    hops = [supporting(title, passages.get(title)) for title in dict.fromkeys(title for title, _ in facts)]
    line = _line(
        record["question"], [record["answer"]], key, type=record.get("type"), level=record.get("level"),
        supporting_ids=hops, supporting_facts=[list(fact) for fact in facts], hops=len(hops),
        evidences=record.get("evidences"),
    )  # fmt: skip
    return line, list(passages.values())


def _hotpot(record: Mapping[str, Any]) -> Converted:
    contexts = [(title, sentences) for title, sentences in record["context"]]
    return _titled(record, contexts, [tuple(fact) for fact in record["supporting_facts"]], record.get("_id"))


def _columns(record: Mapping[str, Any]) -> Converted:
    context, facts = record["context"], record["supporting_facts"]
    sentences = context.get("sentences", context.get("content"))
    pairs = list(zip(facts["title"], facts["sent_id"], strict=True))
    return _titled(record, zip(context["title"], sentences, strict=True), pairs, record.get("id"))


def _ircot(record: Mapping[str, Any]) -> Converted:
    passages = [passage_from_text(c["title"], c["paragraph_text"]) for c in record["contexts"]]
    hops = [p.id for p, c in zip(passages, record["contexts"]) if c.get("is_supporting")]
    answers = [span for answer in record["answers_objects"] for span in answer["spans"]]
    line = _line(
        record["question_text"], answers, record["question_id"], supporting_ids=hops, level=record.get("level"),
        type=record.get("type"), hops=len(hops),
    )  # fmt: skip
    return line, passages


def _musique(record: Mapping[str, Any]) -> Converted:
    passages = {p["idx"]: passage_from_text(p["title"], p["paragraph_text"]) for p in record["paragraphs"]}
    steps = record["question_decomposition"]
    hops = [supporting(None, passages.get(step.get("paragraph_support_idx"))) for step in steps]
    answers = list(dict.fromkeys([record["answer"], *record.get("answer_aliases", ())]))
    line = _line(
        record["question"], answers, record["id"], supporting_ids=hops, decomposition=steps, hops=len(steps),
        type=str(record["id"]).split("__")[0], answerable=record.get("answerable"),
    )  # fmt: skip
    return line, list(passages.values())


def _strategyqa(record: Mapping[str, Any]) -> Converted:
    marked = [list(dict.fromkeys(_texts_in(annotator))) for annotator in record.get("evidence", ())]
    line = _line(
        record["question"], ["yes" if record["answer"] else "no"], record["qid"], type="yes_no",
        supporting_ids=next((ids for ids in marked if ids), []), supporting_ids_by_annotator=marked or None,
        decomposition=[{"question": step} for step in record.get("decomposition", ())], facts=record.get("facts"),
        hops=len(record.get("decomposition", ())), term=record.get("term"),
    )  # fmt: skip
    return line, []


def _texts_in(value: Any) -> Iterable[str]:
    """Passage ids in StrategyQA's nested evidence, without the words that mean "no passage needed"."""
    if isinstance(value, str):
        if value not in ("operation", "no_evidence"):
            yield value
    else:
        for item in value:
            yield from _texts_in(item)


def _bamboogle(record: Mapping[str, Any]) -> Converted:
    steps = [{"question": record[f"Q{n}"], "answer": record.get(f"A{n}")} for n in range(1, 9) if record.get(f"Q{n}")]
    return _line(record["Question"], [record["Answer"]], None, decomposition=steps or None, hops=len(steps) or None), []


def _fanout(record: Mapping[str, Any]) -> Converted:
    steps = record["decomposition"]
    line = _line(
        record["question"], [_flat(record["answer"])], record["id"], decomposition=steps, hops=len(steps),
        answer_structure=record["answer"], categories=record.get("categories"),
    )  # fmt: skip
    return line, []


def _flat(answer: Any) -> str:
    if isinstance(answer, Mapping):
        return "; ".join(f"{key}: {_flat(value)}" for key, value in answer.items())
    if isinstance(answer, list):
        return ", ".join(_flat(value) for value in answer)
    return str(answer)


def _trainer_row(record: Mapping[str, Any]) -> Converted:
    """Search-R1 and verl: the question is in `extra_info`, or after "Question:" in the last user message."""
    extra = record.get("extra_info") or {}
    truth = record["reward_model"]["ground_truth"]
    if isinstance(truth, Mapping):
        truth = truth["target"]
    answers = [truth] if isinstance(truth, str) else [str(answer) for answer in truth]
    question = record.get("question") or extra.get("question")
    if not question:
        prompt = [message["content"] for message in record["prompt"] if message["role"] == "user"][-1]
        question = re.split(r"Question:\s*", prompt)[-1].strip()
    split = extra.get("split") or "test"
    key = record.get("id") or f"{record['data_source']}-{split}-{extra.get('index')}"
    return _line(question, answers, key, split=split, dataset=record["data_source"]), []


def _flashrag(record: Mapping[str, Any]) -> Converted:
    """FlashRAG's layout, which is ours too.

    FlashRAG stores the passages of HotpotQA and 2WikiMultiHopQA in the metadata, and StrategyQA's answers as booleans.
    """
    line = dict(record)
    if isinstance(answers := line["golden_answers"], list):
        spoken = {True: "yes", False: "no"}
        line["golden_answers"] = [spoken[answer] if isinstance(answer, bool) else answer for answer in answers]
    metadata = line.get("metadata")
    context = metadata.get("context") if isinstance(metadata, Mapping) else None
    if not isinstance(metadata, Mapping) or not isinstance(context, Mapping) or "title" not in context:
        return line, []
    facts = metadata.get("supporting_facts") or {"title": [], "sent_id": []}
    sentences = context.get("sentences", context.get("content"))
    found, passages = _titled(
        {"question": line["question"], "answer": ""}, zip(context["title"], sentences, strict=True),
        list(zip(facts["title"], facts["sent_id"], strict=True)), line.get("id"),
    )  # fmt: skip
    others = {name: value for name, value in metadata.items() if name != "context" and value is not None}
    return line | {"metadata": others | found["metadata"]}, passages


@dataclass(frozen=True, slots=True)
class UpstreamFormat:
    """An upstream format: its name, a test that recognises a record, and a function that converts one."""

    name: str
    recognise: Callable[[Mapping[str, Any]], bool]
    convert: Callable[[Mapping[str, Any]], Converted]


def _has(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda record: all(name in record for name in names)


FORMATS: tuple[UpstreamFormat, ...] = (
    UpstreamFormat("Search-R1 / verl rows", _has("data_source", "prompt", "reward_model"), _trainer_row),
    UpstreamFormat("FlashRAG", _has("question", "golden_answers"), _flashrag),
    UpstreamFormat("IRCoT", _has("question_text", "answers_objects", "contexts"), _ircot),
    UpstreamFormat("MuSiQue", _has("paragraphs", "question_decomposition", "answer"), _musique),
    UpstreamFormat(
        "HotpotQA columns",
        lambda r: _has("context", "supporting_facts")(r) and isinstance(r["context"], Mapping),
        _columns,
    ),
    UpstreamFormat("HotpotQA / 2WikiMultiHopQA", _has("context", "supporting_facts", "answer"), _hotpot),
    UpstreamFormat("StrategyQA", _has("qid", "question", "answer"), _strategyqa),
    UpstreamFormat("FanOutQA", _has("id", "question", "decomposition", "answer"), _fanout),
    UpstreamFormat("Bamboogle", _has("Question", "Answer"), _bamboogle),
)
"""The first format that recognises a record converts it."""
