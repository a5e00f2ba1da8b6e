"""TRL: plays two groups through `rollout_func` with turns that are known, and looks at what the trainer would get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from ...envs.adapters.tool_episode import question_by_id, tool_instruction
from ...envs.adapters.trl import environment_factory, rollout_func, rollout_rows, tool_rows
from ...envs.formats.turn_format import get_turn_format
from ...envs.questions import Question
from .check import Check, Settings, guarded
from .tokens import chat_ids, decoded

__all__ = ["trl_checks"]

_GROUP = 4
_ROLLOUT, _TOOLS = "rollout_func", "environment_factory"


def trl_checks(settings: Settings) -> Iterator[Check]:
    """The rows of TRL's two ways."""
    yield from _rollout_checks(settings)
    yield guarded(f"{_TOOLS}: tools in the template", lambda: _tools(settings))
    yield guarded(f"{_TOOLS}: groups and rewards", lambda: _tool_groups(settings))


@dataclass
class _Script:
    """A trainer whose model writes known turns: a search, then an answer, right in the first half of each group.

    Attributes:
        questions: of the rows, in their order.
        sampled: token ids of each row, turn by turn.
    """

    settings: Settings
    questions: Sequence[Question]
    sampled: list[list[list[int]]] = field(default_factory=list)

    def trainer(self) -> Any:
        """What `rollout_func` uses of a `GRPOTrainer`."""
        model = SimpleNamespace(device="cpu", generate=self.generate)
        accelerator = SimpleNamespace(unwrap_model=lambda wrapped: wrapped)
        return SimpleNamespace(processing_class=self.settings.tokenizer, model=model, accelerator=accelerator)

    def texts(self, row: int) -> tuple[str, str]:
        """The turns of a row."""
        question = self.questions[row]
        answer = question.answers[0] if row % _GROUP < _GROUP // 2 else "unknown"
        query, name = question.text, self.settings.task.spec.turn_format
        if name == "tool_call":
            call = '{"name": "search", "arguments": {"query_list": ["' + query.replace('"', "'") + '"]}}'
            return f"<tool_call>{call}</tool_call>", f"<answer> {answer} </answer>"
        return f"<search> {query} </search>", f"<answer> {answer} </answer>"

    def generate(self, input_ids: Any, **_: Any) -> Any:
        """One turn of each row, padded behind its end."""
        import torch

        tokenizer = self.settings.tokenizer
        if not self.sampled:
            self.sampled = [[] for _ in self.questions]
        new = []
        for row, turns in enumerate(self.sampled):
            ids = tokenizer.encode(self.texts(row)[len(turns)], add_special_tokens=False)
            turns.append([int(token) for token in ids])
            new.append(turns[-1])
        width = max(map(len, new)) + 1
        padded = torch.tensor([ids + [tokenizer.pad_token_id] * (width - len(ids)) for ids in new])
        flat = torch.zeros(1, 1).expand(len(new), len(tokenizer))
        return SimpleNamespace(sequences=torch.cat([input_ids, padded], 1), logits=[flat] * width)


def _rollout_checks(settings: Settings) -> Iterator[Check]:
    """Masks, tokens, groups and rewards of two groups of four rollouts."""
    task = settings.task
    if get_turn_format(task.spec.turn_format).name not in ("tags", "search_r1", "tool_call"):
        yield Check(f"{_ROLLOUT}: masks", None, f"no script for the turn format {task.spec.turn_format}")
        return
    rows = rollout_rows(settings.env_id, settings.split, **settings.arguments)[:2]
    questions = list(task.split(settings.split)[:2])
    prompts = [row["prompt"] for row in rows for _ in range(_GROUP)]
    script = _Script(settings, [question for question in questions for _ in range(_GROUP)])
    play = rollout_func(settings.env_id, settings.split, max_new_tokens=512, **settings.arguments)
    played: dict[str, list[Any]] = {}

    def run() -> Check:
        played.update(play(prompts, script.trainer()))
        lengths = [
            (len(ids), len(played["env_mask"][row]), len(played["logprobs"][row]))
            for row, ids in enumerate(played["completion_ids"])
        ]
        even = all(len(set(row)) == 1 for row in lengths)
        return Check(f"{_ROLLOUT}: ids, mask, log-probs", even, f"{len(lengths)} rollouts, equal lengths", _REPORT)

    yield (first := guarded(f"{_ROLLOUT}: ids, mask, log-probs", run, _PADDING))
    if not first.passed:
        return
    yield _own_tokens(script, played)
    yield _observations(settings, script, played)
    yield _groups(script, played)


def _own_tokens(script: _Script, played: dict[str, list[Any]]) -> Check:
    """Mask 1 are exactly the tokens that the model sampled, in order."""
    right = 0
    for row, (ids, mask) in enumerate(zip(played["completion_ids"], played["env_mask"])):
        own = [token for token, trained in zip(ids, mask) if trained]
        right += own == [token for turn in script.sampled[row] for token in turn]
    total = len(script.sampled)
    return Check(
        f"{_ROLLOUT}: trained tokens are the sampled ones",
        right == total,
        f"{right} of {total} rollouts",
        "an end or tag token differs: check eos_token and that the tokenizer round-trips tags (rows above)",
    )


def _observations(settings: Settings, script: _Script, played: dict[str, list[Any]]) -> Check:
    """Mask 0 are passages only, and none of them is a special token."""
    tokenizer = settings.tokenizer
    special = set(tokenizer.all_special_ids)
    shown, bad = 0, 0
    for ids, mask in zip(played["completion_ids"], played["env_mask"]):
        observed = [token for token, trained in zip(ids, mask) if not trained]
        shown += len(observed)
        bad += bool(special & set(observed)) or "<information>" not in decoded(tokenizer, observed).replace(
            "<tool_response>", "<information>"
        )
    return Check(
        f"{_ROLLOUT}: masked tokens are passages",
        bad == 0 and shown > 0,
        f"{shown} tokens masked, no special token" if not bad else f"{bad} rollouts with special tokens or no passage",
        "use a fast tokenizer: split_special_tokens keeps the text of passages from becoming special tokens",
    )


def _groups(script: _Script, played: dict[str, list[Any]]) -> Check:
    """Each group has one question, and the right answers of the script earn more."""
    rewards = played["berrypick_reward"]
    groups = [rewards[at : at + _GROUP] for at in range(0, len(rewards), _GROUP)]
    half = _GROUP // 2
    told = all(min(group[:half]) > max(group[half:]) for group in groups)
    text = "; ".join(" ".join(f"{reward:g}" for reward in group) for group in groups)
    return Check(
        f"{_ROLLOUT}: groups and rewards",
        told,
        f"rewards {text}",
        "the reward does not prefer the right answer: check --env-arg reward; if prompts repeat, keep question_id in "
        "the rows",
    )


def _tools(settings: Settings) -> Check:
    """The template must show the two tools to the model."""
    from transformers.utils.chat_template_utils import get_json_schema

    environment = environment_factory(settings.env_id, **settings.arguments)()
    tools = [get_json_schema(environment.search), get_json_schema(environment.answer)]
    task, name = settings.task, f"{_TOOLS}: tools in the template"
    prompt = [{"role": "user", "content": tool_instruction(task, task.split(settings.split)[0])}]
    text = decoded(settings.tokenizer, chat_ids(settings.tokenizer, prompt, more=True, tools=tools))
    shown = "query_list" in text
    return Check(
        name, shown, "both schemas are in the prompt" if shown else "the template ignores tools",
        "use rollout_func, which needs no tools in the template, or the template of a model that calls functions",
    )  # fmt: skip


def _tool_groups(settings: Settings) -> Check:
    """One environment for each rollout; rewards depend on its own answer only."""
    rows = tool_rows(settings.env_id, settings.split, **settings.arguments)[:2]
    make, rewards = environment_factory(settings.env_id, **settings.arguments), []
    for row in rows:
        question = question_by_id(settings.task, row["question_id"])
        pair = [make(), make()]
        for environment in pair:
            environment.reset(**row)
            environment.search([question.text])
        for environment, answer in zip(pair, (question.answers[0], "unknown")):
            environment.answer(answer)
        rewards.append([environment.get_reward() for environment in pair])
    told = all(right > wrong for right, wrong in rewards)
    return Check(f"{_TOOLS}: groups and rewards", told, f"right and wrong answers: {rewards}", "check --env-arg reward")


_PADDING = "set a padding token: tokenizer.pad_token = tokenizer.eos_token"
_REPORT = "report it with this table: the adapter is wrong"
