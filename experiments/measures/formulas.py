"""How measures are computed, in one line each, for those whose definition is a formula."""

from __future__ import annotations

import re

from .measures import Measure

__all__ = ["formula_of"]

_FORMULAS = {
    "em": "rollouts whose normalized answer equals an accepted answer / rollouts; mean over questions",
    "f1": "2 PR / (P + R) over the words of the normalized answer, for the best accepted answer",
    "pass@1": "c / n of a question whose n rollouts hold c right answers; mean over questions",
    "pass@{k}": "1 - C(n - c, k) / C(n, k) of a question whose n rollouts hold c right answers; mean over questions",
    "pass@{k}_plan": "pass@k of a perfect reader that replays each rollout's order of record kinds and all searches "
    "of the budget (envs/metrics/planning.py)",
    "pass@1_plan": "pass@1 of a perfect reader that replays each rollout's order of record kinds and all searches of "
    "the budget (envs/metrics/planning.py)",
    "give_up_loss": "planned pass@1 - pass@1 of the perfect reader with only the searches that were made",
    "execution_loss": "pass@1 of the perfect reader with only the searches that were made - pass@1",
    "frontier_distance": "F(pass@1) - pass@k of the rollouts as they were scored, where F is the exact frontier of the "
    "same questions (envs/world/frontier.py)",
    "breadth": "relevant passages that some rollout was shown / relevant passages",
    "redundancy": "1 - |union of the passages of all rollouts| / sum of the passages of each rollout",
    "unique_query_ratio": "different queries / queries, over all rollouts of a question",
    "wordings_per_path": "different sequences of normalized queries / different sequences of the sets of passages that "
    "each query retrieved, over the rollouts of a question that searched",
    "query_token_entropy": "sum of H(next token) over the tokens of queries / number of these tokens",
    "query_entropy": "sum of H(next token) over the tokens of a query; mean over queries",
    "query_sequence_entropy": "-log p(query and closing tag); mean over sampled queries, at temperature 1",
    "semantic_query_entropy": "H of first queries, by the set of passages that each retrieved, + (m - 1) / 2n for m "
    "sets of n queries",
    "path_entropy": "H of rollouts, by the set of passages that each was shown, + (m - 1) / 2n for m sets of n",
    "kind_entropy": "H(record kind tried first | question, hop), Miller-Madow corrected, over the hops reached",
    "kind_information": "H(kind | hop) - H(kind | question, hop), Miller-Madow corrected",
    "query_information": "log p(t | own question) - log of the mean of p(t | x) over N questions x, for the first turn "
    "t; mean over the turns of a question, then over the N questions (RAGEN-2, arXiv 2604.06268)",
    "question_identified": "first turns t whose own question has the largest p(t | x) of N questions x / first turns; "
    "a tie of n questions counts 1 / n",
    "answers_distinct@{k}": "expected number of different normalized answers among k rollouts",
}


def formula_of(measure: Measure) -> str:
    """The formula of a measure, or where its function is; a measure of reports that has neither points to its page."""
    pattern = re.sub(r"@\d+", "@{k}", measure.key)
    known = _FORMULAS.get(measure.key) or _FORMULAS.get(pattern)
    if known is not None:
        return known
    if measure.of_group is not None:
        function = measure.of_group
        code = getattr(function, "__code__", None)
        line = f", line {code.co_firstlineno}" if code is not None else ""
        return f"for each question by {getattr(function, '__module__', '')}{line}; mean over questions"
    return "as its meaning says; see docs/measures.md"
