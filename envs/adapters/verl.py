"""verl: a reward function that also logs queries and passages, rows for its agent loop, and a search tool.

The reward function and the rows work without verl; `search_tool` imports it. Tested with verl 0.9. By default verl cuts
tool responses to 256 characters in the middle: raise `rollout.multi_turn.max_tool_response_length`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...retrieval_index.json_text import parse_json
from ..answers import exact_match, f1
from ..data.upstream_records import passage_from_text
from ..episode import read_turn, start
from ..formats.actions import blocks
from ..formats.turn_format import Answer, Search, get_turn_format
from .tool_episode import shared_task

__all__ = ["compute_score", "search_tool", "verl_rows"]

_OBSERVATIONS = ("information", "tool_response")
_PASSAGE = re.compile(r"(?:\[\d{1,9}\]|Doc \d{1,9}) ?\(Title: ")
_NEXT_PASSAGE = re.compile(r"\n(?=\[\d{1,9}\]|Doc \d)")
_OPENING = re.compile(r"<(?:information|tool_response)>")
_END = re.compile(r"</(?:information|tool_response)>")


def compute_score(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: Mapping[str, Any] | None = None, **_: Any
) -> dict[str, Any]:
    """Exact match of the answer, read as the environment reads it, and the fields that a report needs.

    Configure it as `custom_reward_function` with path `pkg://berrypick.envs.adapters.verl` and name `compute_score`.

    The text after the last observation is the last turn: its first complete block is its action, and the first line of
    an answer is scored, without the passages it cites. So an answer tag in a passage or a hint cannot earn a reward,
    nor can an answer that follows a search in one turn. Rollouts of our tool class record their observations, so this
    is exact under any chat template. In other rollouts, observations are the text inside `<information>` or
    `<tool_response>`. Group id, queries and passages are JSON texts, because verl writes texts to its dumps and leaves
    them out of its averages.

    Args:
        data_source: the `data_source` of the row.
        solution_str: the decoded response, observations included.
        ground_truth: a text, a list of texts, or {"target": ...} as in Search-R1's rows.
        extra_info: the `extra_info` of the row; `split` and `index` (or `question_id`) name the group, and
            `turn_format` how turns are written. Without it that is `tool_call` if the text has calls and no searches
            in tags, otherwise `tags`.

    Returns:
        score, em, f1, and under `berrypick_*` group id, answer, queries, passage ids and number of queries.
    """
    info = dict(extra_info or {})
    truth = ground_truth["target"] if isinstance(ground_truth, Mapping) else ground_truth
    answers = [truth] if isinstance(truth, str) else [str(answer) for answer in truth]
    log = info.get("berrypick")
    if isinstance(log, Mapping):  # from our tool class, so nothing has to be parsed
        last = _after_observations(solution_str, log["observations"])
        queries, passages = list(log["queries"]), list(log["passage_ids"])
    else:
        last = _after_tags(solution_str)
        queries, passages = _read_text(solution_str)
    action = read_turn(get_turn_format(_format_name(solution_str, info)), last)[1]
    said = isinstance(action, Answer)
    answer = action.candidates[0].text if isinstance(action, Answer) else ""
    em = exact_match(answer, answers) if said else 0.0
    key = info.get("question_id", info.get("index", info.get("question", "")))
    return {
        "score": em,
        "em": em,
        "f1": f1(answer, answers) if said else 0.0,
        "berrypick_group": f"{data_source}|{info.get('split', '')}|{key}",
        "berrypick_answer": answer,
        "berrypick_queries": json.dumps(queries, ensure_ascii=False),
        "berrypick_passages": json.dumps(passages),
        "berrypick_num_queries": float(len(queries)),
    }


def _after_observations(text: str, observations: Sequence[str]) -> str:
    """The text after the last observation; observations that verl cut or left out are skipped."""
    end = 0
    for observation in observations:
        at = text.find(observation, end)
        end = at + len(observation) if at >= 0 else end
    return text[end:]


def _after_tags(text: str) -> str:
    """The text after the last complete observation, up to an observation that was cut off before its closing tag."""
    ends = [match.end() for match in _END.finditer(text)]
    return _OPENING.split(text[ends[-1] if ends else 0 :])[0]


def _format_name(text: str, info: Mapping[str, Any]) -> str:
    if isinstance(name := info.get("turn_format"), str):
        return name
    called = isinstance(info.get("berrypick"), Mapping) or ("<tool_call>" in text and "<search>" not in text)
    return "tool_call" if called else "tags"


def _read_text(text: str) -> tuple[list[str], list[str]]:
    """The queries in the policy's own text, in tags or calls, and the ids of passages in observations; in order."""
    queries, passages, policys, end = list[str](), list[str](), list[str](), 0
    for tag, start_of_body, end_of_body in blocks(text, _OBSERVATIONS):
        policys.append(text[end : start_of_body - len(tag) - 2])
        passages += _passages(text[start_of_body:end_of_body])
        end = end_of_body + len(tag) + 3
    own = "\n".join([*policys, text[end:]])
    for tag, at, until in blocks(own, ("search", "tool_call")):
        name = "tags" if tag == "search" else "tool_call"
        action = get_turn_format(name).parse(f"<{tag}>{own[at:until]}</{tag}>")
        queries += action.queries if isinstance(action, Search) else ()
    return queries, passages


def _passages(observation: str) -> list[str]:
    """Ids of the passages with titles in an observation: digests of title and text, as in `passage_from_text`."""
    try:
        response = parse_json(observation)
        text = str(response.get("result", "")) if isinstance(response, dict) else observation
    except ValueError:
        text = observation
    ids = []
    for part in _NEXT_PASSAGE.split(text.strip()):
        head = _PASSAGE.search(part)
        title, end, body = part[head.end() :].partition(") ") if head else ("", "", "")
        if end:
            ids.append(passage_from_text(title.strip('"'), body).id)
    return ids


def verl_rows(env_id: str, split: str, **arguments: Any) -> list[dict[str, Any]]:
    """Rows of a data set for verl's agent loop; write them as Parquet. `agent_name` selects the tool loop."""
    task = shared_task(env_id, {**arguments, "turn_format": "tool_call"})
    rows = []
    for index, question in enumerate(task.split(split)):
        messages = [message for message in start(question, task.spec).messages if message["role"] != "system"]
        create = {"env_id": env_id, "question_id": question.id, "arguments": json.dumps(arguments, sort_keys=True)}
        rows.append(
            {
                "data_source": env_id,
                "agent_name": "tool_agent",
                "prompt": messages,
                "ability": "fact-reasoning",
                "reward_model": {"style": "rule", "ground_truth": {"target": list(question.answers)}},
                "extra_info": {
                    "index": index,
                    "split": split,
                    "question": question.text,
                    "question_id": question.id,
                    "turn_format": "tool_call",
                    "need_tools_kwargs": True,
                    "tools_kwargs": {"search": {"create_kwargs": create}},
                },
            }
        )
    return rows


def search_tool(config: Mapping[str, Any] | None = None) -> Any:
    """The search tool for verl, an instance of a subclass of its `BaseTool`.

    In a tools YAML, use the class itself: `berrypick.envs.adapters.verl_tool.BerrypickSearchTool`.
    """
    from .verl_tool import BerrypickSearchTool

    return BerrypickSearchTool(dict(config or {}), None)
