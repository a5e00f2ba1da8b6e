"""How measures are computed, in one line each, for those whose definition is a formula."""

from __future__ import annotations

from .measures import Measure

__all__ = ["formula_of"]

_FORMULAS = {
    "em": "rollouts whose normalized answer equals an accepted answer / rollouts; mean over questions",
    "f1": "2 PR / (P + R) over the words of the normalized answer, for the best accepted answer",
    "sub_em": "rollouts whose normalized answer contains an accepted answer / rollouts",
    "reward": "sum of the rewards that the rollouts hold / rollouts that hold one; mean over questions",
    "evidence_recall": "hops of the best path for which a relevant passage was shown / hops of that path; mean over "
    "rollouts",
    "all_hops": "rollouts that were shown a relevant passage for every hop of some path / rollouts",
    "pass@1": "c / n of a question whose n rollouts hold c right answers; mean over questions",
    "pass@{k}": "1 - C(n - c, k) / C(n, k) of a question whose n rollouts hold c right answers; mean over questions",
    "pass@{k}_plan": "pass@k of a perfect reader that replays each rollout's order of record kinds and all searches "
    "of the budget (envs/metrics/planning.py)",
    "pass@1_plan": "pass@1 of a perfect reader that replays each rollout's order of record kinds and all searches of "
    "the budget (envs/metrics/planning.py)",
    "give_up_loss": "planned pass@1 - pass@1 of the perfect reader with only the searches that were made",
    "execution_loss": "pass@1 of the perfect reader with only the searches that were made - pass@1",
    "gave_up": "rollouts that answered with a hop open, searches left and a record kind untried / rollouts",
    "executed_right": "searches whose first passage is about the fact that was open / searches",
    "new_kind_after_miss": "searches after a miss that name an untried record kind / searches after a miss where "
    "one was left",
    "frontier_distance": "F(pass@1) - pass@k of the rollouts as they were scored, where F is the exact frontier of the "
    "same questions (envs/world/frontier.py)",
    "price": "F(pass@k of the arm) - F(pass@k of its control), where F(y) is the most pass@1 that a policy with a "
    "pass@k of y can have (envs/world/population.py); as a change of pass@1, so that a cost is below 0",
    "waste": "F(pass@k) - pass@1, with the same F",
    "breadth": "relevant passages that some rollout was shown / relevant passages",
    "path_coverage": "evidence paths of which one rollout was shown a passage for every hop / evidence paths",
    "redundancy": "1 - |union of the passages of all rollouts| / sum of the passages of each rollout",
    "unique_query_ratio": "different queries / queries, over all rollouts of a question",
    "unique_query_ratio_episode": "different queries / queries of one rollout; mean over rollouts",
    "query_clusters": "connected components of the queries, linked where |a & b| / |a | b| of their words is at least "
    "0.7",
    "query_similarity": "|a & b| / |a | b| of the words of two queries; mean over pairs from different rollouts",
    "query_specificity": "P(sim(a, b) > sim(a, c)) + P(equal) / 2 for first queries a, b of one question and c of the "
    "next one; sim is |a & b| / |a | b| of words",
    "retrieval_clusters": "number of different sets of passages that the queries of a question brought",
    "distinct_passages": "|union of the passages of all rollouts|",
    "distinct_passages_rarefied": "sum over passages of 1 - C(n - m, 8) / C(n, 8), for a passage that m of the n "
    "queries brought",
    "searches": "queries that were searched; mean over rollouts, then over questions",
    "zero_variance": "questions whose rollouts all have one reward / questions with two or more rollouts",
    "turns": "turns; mean over rollouts, then over questions",
    "valid_actions": "turns that search or answer / turns",
    "search_errors": "searches that the searcher failed / searches",
    "degenerate_text": "turns whose last 1,000 characters end in a phrase said three times or compress by more than "
    "2.4 / turns",
    "format_dominant": "rollouts with the most frequent set of tags / rollouts",
    "format_entropy": "H of the sets of tags over all rollouts",
    "finished": "rollouts that answered / rollouts",
    "wordings_per_path": "different sequences of normalized queries / different sequences of the sets of passages that "
    "each query retrieved, over the rollouts of a question that searched",
    "query_token_entropy": "sum of H(next token) over the tokens of queries / number of these tokens",
    "query_entropy": "sum of H(next token) over the tokens of a query; mean over queries",
    "query_sequence_entropy": "-log p(query and closing tag); mean over sampled queries, at temperature 1",
    "query_token_entropy_first_turn": "sum of H(next token) over the tokens of first-turn queries / number of these "
    "tokens",
    "query_sequence_entropy_first_turn": "-log p(query and closing tag) in the first turn; mean over rollouts, at "
    "temperature 1",
    "semantic_query_entropy": "H of first queries, by the set of passages that each retrieved, + (m - 1) / 2n for m "
    "sets of n queries",
    "path_entropy": "H of rollouts, by the set of passages that each was shown, + (m - 1) / 2n for m sets of n",
    "kind_entropy": "H(record kind tried first | question, hop), Miller-Madow corrected, over the hops reached",
    "kind_information": "H(kind | hop) - H(kind | question, hop), Miller-Madow corrected",
    "query_information": "log p(t | own question) - log of the mean of p(t | x) over N questions x, for the first turn "
    "t; mean over the turns of a question, then over the N questions (RAGEN-2, arXiv 2604.06268)",
    "question_identified": "first turns t whose own question has the largest p(t | x) of N questions x / first turns; "
    "a tie of n questions counts 1 / n",
    "effective_diversity": "different sets of evidence among right rollouts / rollouts",
    "effective_diversity_pairwise": "pairs of right rollouts with different evidence / pairs of rollouts",
    "diversity_given_quality": "different sets of evidence among right rollouts / right rollouts",
    "answers_distinct@{k}": "expected number of different normalized answers among k rollouts",
    "answers@{k}": "expected number of different true answers among k rollouts",
    "choice@{k}": "expected weight of the best answer among k rollouts, for weights drawn from Dirichlet(1) over the "
    "true answers",
    "choice@24_searches": "choice@k at the k whose rollouts make 24 searches",
    "training_reward": "mean reward of the training questions' rollouts",
    "policy_tokens": "tokens that the policy wrote; mean over rollouts, then over questions",
}


def formula_of(measure: Measure) -> str:
    """The formula of a measure, or where its function is; a measure of reports that has neither points to its page."""
    known = _FORMULAS.get(measure.key) or _FORMULAS.get(measure.family)
    if known is not None:
        return known
    if measure.of_group is not None:
        function = measure.of_group
        code = getattr(function, "__code__", None)
        line = f", line {code.co_firstlineno}" if code is not None else ""
        return f"for each question by {getattr(function, '__module__', '')}{line}; mean over questions"
    return "as its meaning says; see docs/measures.md"
