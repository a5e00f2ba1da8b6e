"""What each measure does not say, and where it comes from."""

from __future__ import annotations

from .measures import Measure

__all__ = ["limit_of", "source_of"]

_LIMITS = {
    "em": "whether the answer was found or known: a policy without searches can have it",
    "f1": "whether the answer is right: a longer answer shares more words",
    "sub_em": "whether the answer is right: a list of guesses contains it",
    "reward": "what was rewarded; rewards on different scales cannot be compared",
    "evidence_recall": "whether the passages were read, or whether other passages would do",
    "all_hops": "whether the answer was drawn from the passages",
    "pass@1": "what several tries would find",
    "pass@{k}": "which of the k answers is right: something must choose; one word of luck in k tries counts fully",
    "pass@{k}_plan": "what the policy itself reads and answers",
    "pass@1_plan": "what the policy itself reads and answers",
    "give_up_loss": "why it stopped: whether the prompt, the length or the reward made it",
    "execution_loss": "which error it was: a misspelt query or a misread passage",
    "gave_up": "whether the search would have found anything",
    "executed_right": "whether the query was a good choice of kind",
    "new_kind_after_miss": "whether the new kind is the likelier one",
    "frontier_distance": "the loss in the population: F is of these questions only",
    "price": "what the training did: it is set by the task and two values of pass@k",
    "waste": "what causes it; it can be smaller than 0 only by noise of pass@1 and pass@k",
    "breadth": "how evenly passages are found, or whether one rollout found them all",
    "path_coverage": "how often a path is walked; one rollout is enough",
    "redundancy": "whether repeated passages are relevant; more rollouts raise it",
    "unique_query_ratio": "whether queries bring different passages: two wordings count as two; more rollouts lower it",
    "unique_query_ratio_episode": "whether rollouts differ from one another",
    "wordings_per_path": "whether paths differ; rollouts that retrieve the same by other words raise it",
    "query_clusters": "whether queries differ in meaning; it grows with the number of queries",
    "query_similarity": "whether alike queries bring the same passages",
    "query_specificity": "whether queries are good; a copy of the question has 1",
    "retrieval_clusters": "whether the passages are relevant; it grows with the number of queries",
    "distinct_passages": "whether the passages are relevant; it grows with the number of queries",
    "distinct_passages_rarefied": "whether the passages are relevant",
    "searches": "whether they were needed",
    "zero_variance": "whether all rollouts are right or all wrong",
    "turns": "whether they did anything",
    "valid_actions": "whether the queries make sense",
    "search_errors": "whether a search that worked found anything",
    "degenerate_text": "whether other text is sensible",
    "format_dominant": "whether the format is the right one",
    "format_entropy": "whether answers differ",
    "finished": "whether the answer is right",
    "query_token_entropy": "whether queries differ in what they find: spelling counts as much as sense",
    "query_entropy": "whether queries differ in what they find; long queries have more",
    "query_sequence_entropy": "whether queries differ in what they find; it needs sampling at temperature 1",
    "query_token_entropy_first_turn": "what happens in later turns",
    "query_sequence_entropy_first_turn": "what happens in later turns",
    "semantic_query_entropy": "more than log n with n rollouts; compare equal n only",
    "path_entropy": "more than log n with n rollouts; compare equal n only",
    "kind_entropy": "whether the kinds that are tried are the likely ones",
    "kind_information": "whether the question's hint is used well",
    "query_information": "more than log N with N questions; compare equal N only",
    "question_identified": "how certain the match is; compare equal N only",
    "effective_diversity": "why it is low: few right rollouts, or right ones alike",
    "effective_diversity_pairwise": "why it is low: few right rollouts, or right ones alike",
    "diversity_given_quality": "how many rollouts are right: one right rollout has 1",
    "answers_distinct@{k}": "whether any of them is right",
    "answers@{k}": "which of them a reader wants",
    "choice@{k}": "what a real reader prefers; preferences are uniform over the simplex",
    "choice@24_searches": "what a real reader prefers; preferences are uniform over the simplex",
    "training_reward": "how the policy does on other questions",
    "policy_tokens": "how long it took; tokenizers differ",
}

_SOURCES = {
    "em": "SQuAD, arXiv 1606.05250",
    "f1": "SQuAD, arXiv 1606.05250",
    "pass@1": "Codex, arXiv 2107.03374",
    "pass@{k}": "Codex, arXiv 2107.03374",
    "distinct_passages_rarefied": "Colwell, Mao and Chang 2004",
    "query_clusters": "Broder 1997 (similarity)",
    "query_similarity": "Broder 1997",
    "query_specificity": "ours, for template collapse of RAGEN-2, arXiv 2604.06268",
    "semantic_query_entropy": "semantic entropy, arXiv 2302.09664; Miller 1955",
    "path_entropy": "semantic entropy, arXiv 2302.09664; Miller 1955",
    "query_information": "RAGEN-2, arXiv 2604.06268; InfoNCE, arXiv 1807.03748",
    "question_identified": "RAGEN-2, arXiv 2604.06268",
    "effective_diversity": "arXiv 2504.12522",
    "effective_diversity_pairwise": "arXiv 2504.12522",
    "diversity_given_quality": "arXiv 2504.12522",
    "degenerate_text": "arXiv 1904.09751 (loops); Whisper, arXiv 2212.04356 (compression)",
    "answers_distinct@{k}": "outcome-based exploration, arXiv 2509.06941",
    "choice@{k}": "VPO, arXiv 2605.22817",
    "choice@24_searches": "VPO, arXiv 2605.22817",
}


def limit_of(measure: Measure) -> str:
    """What a measure does not say; empty for a measure of the user's own."""
    return _LIMITS.get(measure.key) or _LIMITS.get(measure.family, "")


def source_of(measure: Measure) -> str:
    """The paper that a measure is from; "ours" without one, and empty for a measure of the user's own."""
    known = _SOURCES.get(measure.key) or _SOURCES.get(measure.family)
    return known or ("ours" if limit_of(measure) else "")
