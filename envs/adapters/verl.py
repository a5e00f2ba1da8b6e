"""verl: a reward function that also logs queries and passages, rows for its agent loop, and a search tool.

The reward function and the rows work without verl; `search_tool` imports it. Tested with verl 0.9. By default verl cuts
tool responses to 256 characters in the middle: raise `rollout.multi_turn.max_tool_response_length`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..answers import exact_match, f1
from ..data.upstream_records import passage_from_text
from ..episode import start
from ..formats.turn_format import Search, get_turn_format
from .tool_episode import shared_task

__all__ = ["compute_score", "search_tool", "verl_rows"]

_OBSERVATION = re.compile(r"<(information|tool_response)>(.*?)</\1>", re.DOTALL)
_PASSAGE = re.compile(r"(?:\[\d+\]|Doc \d+) ?\(Title: (.*?)\) (.*?)(?=\n(?:\[\d+\]|Doc \d+)|\Z)", re.DOTALL)
_OPENING = re.compile(r"<(?:information|tool_response)>")
_END = re.compile(r"</(?:information|tool_response)>")


def compute_score(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: Mapping[str, Any] | None = None, **_: Any
) -> dict[str, Any]:
    """Exact match of the last answer, and the fields that a report needs.

    Configure it as `custom_reward_function` with path `pkg://berrypick.envs.adapters.verl` and name `compute_score`.

    The answer is read only from the text after the last observation, so that an answer tag in a passage or a hint
    cannot earn a reward. Rollouts of our tool class record their observations, so this is exact under any chat
    template. In other rollouts, observations are the text inside `<information>` or `<tool_response>`. Group id,
    queries and passages are JSON texts, because verl writes texts to its dumps and leaves them out of its averages.

    Args:
        data_source: the `data_source` of the row.
        solution_str: the decoded response, observations included.
        ground_truth: a text, a list of texts, or {"target": ...} as in Search-R1's rows.
        extra_info: the `extra_info` of the row; `split` and `index` (or `question_id`) name the group.

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
        last = solution_str
        queries = _queries(_OBSERVATION.sub("\n", solution_str))
        passages = [passage for match in _OBSERVATION.finditer(solution_str) for passage in _passages(match.group(2))]
    said = re.findall(r"<answer>(.*?)</answer>", _after_tags(last), re.DOTALL)
    answer = said[-1].strip() if said else ""
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


def _queries(policy_text: str) -> list[str]:
    """The queries in the policy's own text, in order, in the format `tags` or `tool_call`."""
    queries: list[str] = []
    for block in re.finditer(r"<search>.*?</search>|<tool_call>.*?</tool_call>", policy_text, re.DOTALL):
        name = "tags" if block.group().startswith("<search>") else "tool_call"
        action = get_turn_format(name).parse(block.group())
        queries += action.queries if isinstance(action, Search) else ()
    return queries


def _passages(observation: str) -> list[str]:
    """Ids of the passages with titles in an observation: digests of title and text, as in `passage_from_text`."""
    try:
        response = json.loads(observation)
        text = str(response.get("result", "")) if isinstance(response, dict) else observation
    except ValueError:
        text = observation
    return [
        passage_from_text(match.group(1).strip('"'), match.group(2)).id for match in _PASSAGE.finditer(text.strip())
    ]


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
