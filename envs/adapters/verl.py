"""verl: a drop-in reward function that logs what its dumps lack, rows for its agent loop, and the search tool's class.

The reward function and the rows need no verl; the tool class is made on use (`search_tool`). Tried with verl 0.9.
`rollout.multi_turn.max_tool_response_length` is 256 characters by default and cuts in the middle: raise it.
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
    """Exact match of the last answer, and what a report needs.

    Configured as `custom_reward_function` with path `pkg://berrypick.envs.adapters.verl` and name `compute_score`.

    Only the text after the last observation is searched for an answer. Rollouts of our tool class say what they
    showed, so no passage and no hint can give one, under any chat template; in others' text, observations are what
    stands in `<information>` or `<tool_response>`. Group id, queries and passages are JSON texts, which verl's dumps
    keep and its averages leave out.

    Args:
        data_source: of the row.
        solution_str: the decoded response, observations included.
        ground_truth: a text, a list of texts, or {"target": ...} as in Search-R1's rows.
        extra_info: of the row; `split` and `index` (or `question_id`) name the group.

    Returns:
        score, em, f1, and under `berrypick_*` group id, answer, queries, passage ids and number of queries.
    """
    info = dict(extra_info or {})
    truth = ground_truth["target"] if isinstance(ground_truth, Mapping) else ground_truth
    answers = [truth] if isinstance(truth, str) else [str(answer) for answer in truth]
    log = info.get("berrypick")
    if isinstance(log, Mapping):  # from our tool class, exact
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
    """What follows the last of the observations; one that verl cut or left out is passed over."""
    end = 0
    for observation in observations:
        at = text.find(observation, end)
        end = at + len(observation) if at >= 0 else end
    return text[end:]


def _after_tags(text: str) -> str:
    """What follows the last closed observation, up to one that was cut off before it closed."""
    ends = [match.end() for match in _END.finditer(text)]
    return _OPENING.split(text[ends[-1] if ends else 0 :])[0]


def _queries(policy_text: str) -> list[str]:
    """Queries of the policy's own text, in either format, in order."""
    queries: list[str] = []
    for block in re.finditer(r"<search>.*?</search>|<tool_call>.*?</tool_call>", policy_text, re.DOTALL):
        name = "tags" if block.group().startswith("<search>") else "tool_call"
        action = get_turn_format(name).parse(block.group())
        queries += action.queries if isinstance(action, Search) else ()
    return queries


def _passages(observation: str) -> list[str]:
    """Ids of the titled passages of an observation: digests of title and text, as `passage_from_text` makes them."""
    try:
        response = json.loads(observation)
        text = str(response.get("result", "")) if isinstance(response, dict) else observation
    except ValueError:
        text = observation
    return [
        passage_from_text(match.group(1).strip('"'), match.group(2)).id for match in _PASSAGE.finditer(text.strip())
    ]


def verl_rows(env_id: str, split: str, **arguments: Any) -> list[dict[str, Any]]:
    """Rows of an agent-loop data set (write them as Parquet): `agent_name` chooses verl's tool loop."""
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
    """verl's tool: an instance of a `BaseTool` subclass named `search`.

    A tools YAML names the class itself, `berrypick.envs.adapters.verl_tool.BerrypickSearchTool`.
    """
    from .verl_tool import BerrypickSearchTool

    return BerrypickSearchTool(dict(config or {}), None)
