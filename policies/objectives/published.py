"""The objectives that berrypick ships; options are named as in the papers."""

from __future__ import annotations

import math

from .bonuses import Batch, Bonus, Shuffled, Ucb, UcbCon, UcbMean
from .diversity import Darling, DarlingAdditive, Lexical
from .equivalence import load_classifier
from .estimates import CorrectOnly, DrGrpo, Estimate, Gdpo, Grpo, MaxRl, Rloo, UnsolvedOnly
from .objective import Objective
from .pass_at_k import PassAtK, PassMix
from .ranges import choice
from .registry import register_objective
from .shapes import MaxAtK, MultiRlvr, Plain, Shape, ShuffledRewards, Vpo
from .terms import AdaptiveEntropy, ClipCov, Entropy, KlCov, KlK1, KlK3, TokenTerm

__all__: list[str] = []


def _of(shape: Shape, estimate: Estimate) -> Objective:
    return Objective("", "", shape, estimate)


def _bonus(bonus: Bonus, weight: float, on_answer: bool) -> Objective:
    return Objective("", "", Plain(), Grpo(), bonus=bonus, bonus_weight=weight, bonus_on_answer_tokens=on_answer)


def _terms(*terms: TokenTerm, clip: tuple[float, float] = (0.2, 0.2), min_updates: int = 1) -> Objective:
    return Objective("", "", Plain(), Grpo(), terms=terms, clip=clip, min_updates=min_updates)


@register_objective("grpo", "GRPO: reward centred and divided by the group's spread")
def _grpo(epsilon: float = 1e-6, population: bool = False) -> Objective:
    return _of(Plain(), Grpo(epsilon, population))


@register_objective("grpo_shuffled", "control of grpo: the rewards of each group, dealt to its rollouts at random")
def _grpo_shuffled() -> Objective:
    return _of(ShuffledRewards(), Grpo())


@register_objective("dr_grpo", "Dr. GRPO: reward centred only; control of methods that do not divide, such as darling")
def _dr_grpo() -> Objective:
    return _of(Plain(), DrGrpo())


@register_objective("rloo", "RLOO: reward minus the mean of the others")
def _rloo() -> Objective:
    return _of(Plain(), Rloo())


@register_objective("maxrl", "MaxRL: reward centred and divided by the group's mean")
def _maxrl() -> Objective:
    return _of(Plain(), MaxRl())


@register_objective("pass_at_k", "Pass@k training: the closed-form advantage of groups of k (binary rewards)")
def _pass_at_k(k: int = 4, std: str = "group") -> Objective:
    choice(("group", "none"), std=std)
    return _of(Plain(), PassAtK(k, divided=std == "group"))


@register_objective("pass_mix", "unbiased leave-one-out credits of pass@1 and pass@k, weighted (binary rewards)")
def _pass_mix(weight: float = 0.5, k: int = 4) -> Objective:
    return _of(Plain(), PassMix(weight, k))


@register_objective("max_at_k", "Max@K: a rollout's contribution to the expected best of k, z-normed")
def _max_at_k(k: int | None = None, centred: bool = False) -> Objective:
    return _of(MaxAtK(k), DrGrpo() if centred else Grpo())


@register_objective("gdpo", "GDPO: each dimension of the reward vector z-normed, then averaged")
def _gdpo(batch_norm: bool = False) -> Objective:
    return _of(Plain(), Gdpo(batch_norm=batch_norm))


@register_objective("correct_only", "Dr. GRPO that updates on right rollouts only")
def _correct_only() -> Objective:
    return _of(Plain(), CorrectOnly())


@register_objective("unsolved_only", "Dr. GRPO that updates only on groups with at most `most` right rollouts")
def _unsolved_only(most: int = 1) -> Objective:
    return _of(Plain(), UnsolvedOnly(most))


@register_objective(
    "darling", "DARLING: reward times distance from the rollout's retrieval (or classifier=DIR) cluster, centred"
)
def _darling(floor: float = 0.1, classifier: str = "", power: float = 1.0) -> Objective:
    if not classifier:
        return _of(Darling("retrieval", floor, power=power), DrGrpo())
    return _of(Darling("query", floor, same=load_classifier(classifier), power=power), DrGrpo())


@register_objective("darling_additive", "DARLING with a sum: reward times (1 + weight x distance), centred")
def _darling_additive(weight: float = 0.5) -> Objective:
    return _of(DarlingAdditive(weight), DrGrpo())


@register_objective("darling_oracle", "DARLING with clusters by evidence path: trains on the metric")
def _darling_oracle(floor: float = 0.1, power: float = 1.0) -> Objective:
    return _of(Darling("evidence", floor, power=power), DrGrpo())


@register_objective("darling_random", "control of DARLING: clusters of the same sizes, assigned at random")
def _darling_random(floor: float = 0.1, power: float = 1.0, norm: str = "own") -> Objective:
    choice(("own", "equal"), norm=norm)
    return _of(Darling("retrieval", floor, shuffle=True, power=power, equal_norm=norm == "equal"), DrGrpo())


@register_objective(
    "lexical", "DARLING's lexical control: reward times the share of unseen n-grams in the queries, centred"
)
def _lexical(n: int = 4, floor: float = 0.0, power: float = 1.0) -> Objective:
    return _of(Lexical(n, floor, power), DrGrpo())


@register_objective("vpo", "VPO: expected best candidate under random reward weights, population z-norm")
def _vpo(num_weights: int = 100, alpha: float = 1.0) -> Objective:
    return _of(Vpo(num_weights, alpha), Grpo(population=True))


@register_objective("multi_rlvr", "Multi-RLVR: sum over candidates of one fixed scalar, population z-norm")
def _multi_rlvr() -> Objective:
    return _of(MultiRlvr(), Grpo(population=True))


@register_objective("ucb", "GRPO + outcome exploration, naive UCB")
def _ucb(weight: float = 0.2, key: str = "answer", on_answer: bool = False) -> Objective:
    return _bonus(Ucb(_outcome(key)), weight, on_answer)


@register_objective("ucb_mean", "GRPO + outcome exploration, UCB minus the group's mean")
def _ucb_mean(weight: float = 0.2, key: str = "answer", on_answer: bool = False) -> Objective:
    return _bonus(UcbMean(_outcome(key)), weight, on_answer)


@register_objective("ucb_con", "GRPO + outcome exploration, UCB minus a constant")
def _ucb_con(weight: float = 0.2, offset: float = 0.5, key: str = "answer", on_answer: bool = False) -> Objective:
    return _bonus(UcbCon(offset, _outcome(key)), weight, on_answer)


@register_objective("batch", "GRPO + outcome exploration, penalty on outcomes repeated in the group")
def _batch(weight: float = 0.2, key: str = "answer", on_answer: bool = False) -> Objective:
    return _bonus(Batch(_outcome(key)), weight, on_answer)


@register_objective("batch_shuffled", "control of batch: the same bonuses, permuted at random")
def _batch_shuffled(weight: float = 0.2, key: str = "answer", on_answer: bool = False) -> Objective:
    return _bonus(Shuffled(Batch(_outcome(key))), weight, on_answer)


@register_objective("entropy", "GRPO + entropy bonus")
def _entropy(coefficient: float = 1e-3) -> Objective:
    return _terms(Entropy(coefficient))


@register_objective("adaptive_entropy", "GRPO + entropy bonus whose weight follows a target entropy in nats")
def _adaptive_entropy(target: float = 0.5, delta: float = 5e-3) -> Objective:
    return _terms(AdaptiveEntropy(target, delta))


@register_objective("kl", "GRPO + KL to the reference policy, k3 in the loss")
def _kl(beta: float = 1e-3) -> Objective:
    return _terms(KlK3(beta))


@register_objective("kl_k1", "GRPO + KL to the reference policy, k1 in the reward")
def _kl_k1(beta: float = 1e-3) -> Objective:
    return _terms(KlK1(beta))


@register_objective("kl_cov", "KL-Cov: KL penalty on the tokens of highest covariance, no clip")
def _kl_cov(fraction: float = 2e-3, coefficient: float = 1.0) -> Objective:
    return _terms(KlCov(fraction, coefficient), clip=(math.inf, math.inf), min_updates=2)


@register_objective("clip_cov", "Clip-Cov: no gradient for a random draw of tokens of high covariance, clip 1")
def _clip_cov(fraction: float = 2e-4, low: float = 1.0, high: float = 5.0) -> Objective:
    return _terms(ClipCov(fraction, low, high), clip=(1.0, 1.0))


@register_objective("clip_higher", "GRPO with a wider upper clip")
def _clip_higher(low: float = 0.2, high: float = 0.28) -> Objective:
    return _terms(clip=(low, high), min_updates=2)


def _outcome(key: str) -> str:
    choice(("answer", "evidence", "retrieval", "query"), key=key)
    return key
