"""Checks of a tokenizer and its chat template that hold for every trainer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...envs.episode import start
from ...envs.formats.control_text import break_control_text
from ...envs.formats.turn_format import get_turn_format
from .check import Check, Settings, guarded

__all__ = ["chat_ids", "decoded", "token_checks"]

Messages = Sequence[Mapping[str, Any]]

_TURNS = (
    "<search> the founder of Zürich’s  first bank </search>",
    "<think> two steps:\n1. founder\n2. her tutor </think>\n<search> tutor </search>",
    "<answer> naïve 1,791 €  </answer>",
)
_THOUGHT = "<think>\nfirst the founder\n</think>\n\n<search> founder </search>"
_FOUND = "<information> [1] (Title: Bank) Its founder is Ada. </information>"


def chat_ids(tokenizer: Any, messages: Messages, *, more: bool, **options: Any) -> list[int]:
    """Token ids of a rendered conversation; `more` ends it where the model writes on."""
    out = tokenizer.apply_chat_template(list(messages), add_generation_prompt=more, tokenize=True, **options)
    ids = out["input_ids"] if hasattr(out, "keys") else out
    return [int(token) for token in ids]


def decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of token ids, nothing left out and nothing cleaned up."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def token_checks(settings: Settings) -> Iterator[Check]:
    """The rows of a tokenizer: template, ends, round trips, control text, stable prefixes."""
    tokenizer = settings.tokenizer
    if not getattr(tokenizer, "chat_template", None):
        yield Check(
            "chat template",
            False,
            "the tokenizer has none",
            "use the tokenizer of an instruct model, or set tokenizer.chat_template; trainers render prompts with it",
        )
        return
    yield Check("chat template", True, "there is one")
    prompt = start(settings.task.split(settings.split)[0], settings.task.spec).messages
    roles = ", ".join(message["role"] for message in prompt)
    refused = f"the template refuses the roles of this prompt ({roles}); choose another --env-arg template"
    yield (rendered := guarded("prompt", lambda: _prompt(tokenizer, prompt), refused))
    yield _padding(tokenizer)
    if rendered.passed:
        yield guarded("end of a turn", lambda: _end(tokenizer, prompt))
    yield guarded("turns survive decoding", lambda: _round_trip(tokenizer))
    yield guarded("control text in passages", lambda: _control(tokenizer))
    if rendered.passed:
        role = get_turn_format(settings.task.spec.turn_format).message(_FOUND)["role"]
        yield guarded("later turns keep earlier tokens", lambda: _prefix(tokenizer, prompt, role), _PREFIX_CURE)


def _prompt(tokenizer: Any, prompt: Messages) -> Check:
    text = decoded(tokenizer, chat_ids(tokenizer, prompt, more=True))
    asked = " ".join(str(prompt[-1]["content"]).split())[-40:]
    held = asked in " ".join(text.split())
    found = f"{len(text)} characters" if held else "the question is not in it"
    return Check("prompt", held, found, "the template leaves out the last message; correct it")


def _padding(tokenizer: Any) -> Check:
    token = getattr(tokenizer, "pad_token", None)
    return Check(
        "padding token", token is not None, repr(token), "tokenizer.pad_token = tokenizer.eos_token, before training"
    )


def _end(tokenizer: Any, prompt: Messages) -> Check:
    """The token after an assistant's text must be the end token, else generation runs on into a turn of its own."""
    before = chat_ids(tokenizer, prompt, more=True)
    after = chat_ids(tokenizer, [*prompt, {"role": "assistant", "content": "x"}], more=False)
    tail = decoded(tokenizer, after[len(before) :]).partition("x")[2] if after[: len(before)] == before else ""
    end = tokenizer.eos_token
    if end is None:
        return Check("end of a turn", False, "no end token", "set tokenizer.eos_token to the text that ends a turn")
    ends = tail.lstrip().startswith(end)
    known = [token for token in tokenizer.all_special_tokens if tail.lstrip().startswith(token)]
    if ends or not known:
        return Check("end of a turn", True, repr(end) if ends else f"{end!r}; the template writes no end token")
    return Check(
        "end of a turn",
        False,
        f"the template ends turns with {known[0]!r}, the tokenizer's end is {end!r}",
        f"tokenizer.eos_token = {known[0]!r}: else a model goes on after its turn",
    )


def _round_trip(tokenizer: Any) -> Check:
    broken = [text for text in _TURNS if decoded(tokenizer, tokenizer.encode(text, add_special_tokens=False)) != text]
    return Check(
        "turns survive decoding",
        not broken,
        f"{len(_TURNS) - len(broken)} of {len(_TURNS)} texts",
        "the tokenizer changes text (lower case, spaces, accents), so queries and answers are not what the model "
        "wrote; choose a byte-level one",
    )


def _control(tokenizer: Any) -> Check:
    """Spellings of control tokens in a passage must not become those tokens once the adapter has broken them."""
    control = {*tokenizer.all_special_tokens, *getattr(tokenizer, "added_tokens_encoder", {})}
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in control}
    through = sorted(
        name
        for name, key in ids.items()
        if name.strip() and key in tokenizer.encode(break_control_text(f"a {name} b"), add_special_tokens=False)
    )
    # A word such as "Observation" may be an added token; it is no control text unless the tokenizer calls it special.
    through = [name for name in through if name in tokenizer.all_special_tokens]
    return Check(
        "control text in passages",
        not through,
        f"{len(ids)} spellings stay text" if not through else f"become tokens: {', '.join(through[:4])}",
        "a passage with such a text could end a turn: leave these passages out, and tell us about the tokenizer",
    )


def _prefix(tokenizer: Any, prompt: Messages, role: str) -> Check:
    """Rendering the next turn must not change the tokens that were sampled: templates may strip or trim thoughts."""
    asked = chat_ids(tokenizer, prompt, more=True)
    sampled = tokenizer.encode(_THOUGHT, add_special_tokens=False)
    said = {"role": "assistant", "content": _THOUGHT}
    later = chat_ids(tokenizer, [*prompt, said, {"role": role, "content": _FOUND}], more=True)
    name = "later turns keep earlier tokens"
    if later[: len(asked) + len(sampled)] == [*asked, *sampled]:
        return Check(name, True, "prompt and sampled turn are a prefix of the next prompt")
    text = decoded(tokenizer, later)
    if "first the founder" not in text:
        return Check(name, False, "the template strips the thought of an earlier turn", _PREFIX_CURE)
    if _THOUGHT not in text:
        return Check(name, False, "the template trims or rewrites an earlier turn", _PREFIX_CURE)
    return Check(name, False, "the same text gets other tokens in the next prompt", _PREFIX_CURE)


_PREFIX_CURE = (
    "train on sampled ids (TRL: rollout_func; verl: its agent loop), or use a template that only appends; a trainer "
    "that renders the conversation anew trains on other tokens than were sampled"
)
