"""Search-R1's own format, byte for byte (PeterGriffinJin/Search-R1, `search_r1/llm_agent/generation.py`).

Its published prompts and checkpoints run unchanged. It differs from `tags` in four ways: passage numbers restart at 1
in each turn, an answer block is one answer, an empty block is an action, and a long observation is cut without a mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...retrieval_index.searcher import Hit
from ..questions import EpisodeSpec, Question
from .actions import Action, Answer, Candidate, Invalid, Search, first_block, read_query
from .prompt_words import opening, question_words

__all__ = ["SearchR1Format"]

PROMPT = (
    "Answer the given question. You must conduct reasoning inside <think> and </think> first every time you get new "
    "information. After reasoning, if you find you lack some knowledge, you can call a search engine by <search> query "
    "</search> and it will return the top searched results between <information> and </information>. You can search as "
    "many times as your want. If you find no further external knowledge needed, you can directly provide the answer "
    "inside <answer> and </answer>, without detailed illustrations. For example, <answer> Beijing </answer>. Question: "
    "{question}\n"
)
INVALID_HINT = (
    "My previous action is invalid. If I want to search, I should put the query between <search> and </search>. If I "
    "want to give the final answer, I should put the answer between <answer> and </answer>. Let me try again."
)


@dataclass(frozen=True, slots=True)
class SearchR1Format:
    """The format of the Search-R1 trainer, byte for byte, so that its prompts and checkpoints run unchanged."""

    name: str = "search_r1"
    stop: tuple[str, ...] = ("</search>", "</answer>")
    invalid_hint: str = INVALID_HINT
    budget_hint: str = ""
    observation_role: str = "user"

    def prompt(self, question: Question, spec: EpisodeSpec) -> list[dict[str, str]]:
        """The published user message; the template "bare" sends only the question."""
        text = question_words(question, spec).strip()
        mark = "" if text.endswith("?") or spec.template == "bare" else "?"
        return opening(question, spec, PROMPT, asked=text + mark)

    def cut(self, text: str) -> str:
        """Up to the first `</search>` if there is one, else up to the first `</answer>`."""
        for tag in self.stop:
            at = text.find(tag)
            if at >= 0:
                return text[: at + len(tag)]
        return text

    def parse(self, text: str) -> Action:
        """The first complete `<search>` or `<answer>` block, even if it is empty."""
        block = first_block(text, ("search", "answer"))
        if block is None:
            return Invalid("no complete <search> or <answer> block")
        tag, start, end = block
        if tag == "answer":
            return Answer((Candidate(text[start:end].strip()),), (start, end))
        return read_query(text, start, end)

    def render(
        self,
        action: Search | Invalid,
        hits: Sequence[Sequence[Hit]],
        first_number: int,
        note: str | None,
        max_chars: int | None = None,
    ) -> str:
        """`Doc 1(Title: "T") text` lines in `<information>`, or the published hint."""
        if isinstance(action, Invalid):
            return f"\n{INVALID_HINT}\n"
        flat = [hit for ranking in hits for hit in ranking]
        lines = "".join(f"Doc {number}{_contents(hit)}\n" for number, hit in enumerate(flat, 1))
        return f"\n\n<information>{lines.strip()}</information>\n\n"[:max_chars]

    def message(self, observation: str) -> dict[str, str]:
        """The observation as a chat message."""
        return {"role": self.observation_role, "content": observation}


def _contents(hit: Hit) -> str:
    """ "(Title: first line) other lines" of the passage as Search-R1's corpus stores it, with the title in quotes."""
    contents = f'"{hit.title}"\n{hit.text}' if hit.title else hit.text
    title, _, text = contents.partition("\n")
    return f"(Title: {title}) {text}"
