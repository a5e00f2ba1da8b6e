"""The registered claims on similarity within and between policies; see `experiment.py` for what is tried and why."""

from __future__ import annotations

from ..grid.contrasts import Contrast, contrast
from ..grid.panel_system import PANEL

__all__ = ["CONTRASTS", "CUE", "PANELS", "PLACES", "RATES", "SETS"]

_PAPER, _REPLICATION = "2510.22954", "2510.22954, replicated on open weights"

PLACES = {"priced": "priced/diverse", "steep": "steep/diverse", "free": "free/diverse"}
CUE, SETS = "priced-cue/diverse", "steep-answers/diverse"
PANELS = {name: f"{name}/shares-60-30-10" for name in PLACES}
RATES = tuple(f"{PLACES['priced']}/rate={rate:g}" for rate in (0.3, 1.0))

_TUNING = "tuning alone adds .08 within a model (six pairs of open models)"
_INTER = "between models .71 to .82; on different prompts .1 to .2"
_SHARES = "79 % of prompts above .8 with top-p .9, 61.2 % with min-p"
_CHOSEN = "how different the demonstrators are was chosen here, see the header"
_FEW = "three kinds and two hops: even policies are alike, too, because there is little to choose from"
_BLIND = "a table without a cue has one habit for all questions: what it gains is floor"
_ONE_STRENGTH = "one strength each: the middle one of the method's own experiment"
_UNDECIDABLE = (
    "a threshold on a cosine belongs to its encoder and to the prompts, and the paper's are not here; the claim on .8 "
    "by words and by records says how much the encoder alone does"
)


def _of_methods(name: str, where: str) -> list[Contrast]:
    """Claims on methods that train from one even start."""
    return [
        contrast(
            f"{name}-grpo", f"in {name}, RL makes a policy's episodes more alike than its start's", _REPLICATION, where,
            "grpo", "records", "increase", 0.05, against="start", published=_TUNING, doubt=_FEW,
        ),
        contrast(
            f"{name}-coin", f"in {name}, RL does so more than GRPO on a coin for a reward", "control", where, "grpo",
            "records", "increase", 0.02, against="random_reward",
        ),
        contrast(
            f"{name}-darling", f"in {name}, DARLING's episodes are less alike than its control's", "design", where,
            "darling_power", "records", "decrease", 0.02, doubt=_ONE_STRENGTH,
        ),
        contrast(
            f"{name}-batch", f"in {name}, a Batch bonus leaves episodes less alike than GRPO", "design", where, "batch",
            "records", "decrease", 0.02, doubt=_ONE_STRENGTH,
        ),
    ]  # fmt: skip


def _of_panels(name: str, where: str) -> list[Contrast]:
    """Claims on policies that share something or nothing."""
    return [
        contrast(
            f"{name}-lost", f"in {name}, shared demonstrations and worlds are most of what two methods are alike above "
            "different questions", _PAPER, where, PANEL, "lost", "increase", 0.5, against="zero", published=_INTER,
            doubt=_FEW,
        ),
        contrast(
            f"{name}-variance", f"in {name}, most of what trained policies differ in goes with the demonstrator",
            "design", where, PANEL, "variance_demonstrator", "increase", 0.5, against="zero",
            doubt=_CHOSEN,
        ),
        contrast(
            f"{name}-apart", f"in {name}, training makes policies more alike that share neither demonstrator nor world",
            "design", where, PANEL, "apart", "increase", 0.02, against="start", published=_INTER,
            doubt="all are rewarded for the same task, and so are the paper's models",
        ),
    ]  # fmt: skip


CONTRASTS = (
    *(one for name, where in PLACES.items() for one in _of_methods(name, where)),
    contrast(
        "priced-random", "in priced, GRPO on a coin for a reward leaves episodes as alike as the start's", "control",
        PLACES["priced"], "random_reward", "records", "equivalent", 0.02, against="start",
        doubt="noise alone moves a softmax away from evenness",
    ),
    contrast(
        "priced-sft", "in priced, as many demonstrations as rollouts leave episodes as alike", "control",
        PLACES["priced"], "more_sft", "records", "equivalent", 0.02, against="start",
    ),
    contrast(
        "priced-dpo", "in priced, DPO makes a policy's episodes more alike than its start's", _REPLICATION,
        PLACES["priced"], "dpo", "records", "increase", 0.05, against="start", published=_TUNING,
    ),
    *(
        contrast(
            f"{name}-floor", f"in {name}, RL makes episodes more alike above the floor of different questions",
            _PAPER, PLACES[name], "grpo", "words_above_floor", "increase", 0.02, against="start",
            doubt=_BLIND,
        )
        for name in ("priced", "steep")
    ),
    contrast(
        "priced-hot", "in priced, GRPO's episodes at temperature 1.4 are more alike than the start's at 1", "design",
        PLACES["priced"], "grpo", "hot_gain", "increase", 0.02, against="zero",
    ),
    contrast(
        "priced-sampling", "in priced, GRPO's episodes are more alike with top-p .9 than with min-p .1 at temperature "
        "2", _PAPER, PLACES["priced"], "grpo", "sampling_gap", "increase", 0.02, against="zero", published=_SHARES,
        doubt="temperature 2 alone does it; the paper's setting of min-p is (unverified)",
    ),
    contrast(
        "priced-encoder", "in priced, DARLING passes .8 on at least .1 more of the questions by words than by records",
        "design", PLACES["priced"], "darling_power", "high_gap", "increase", 0.1, against="zero",
    ),
    contrast(
        "cue-grpo", "with a cue, RL makes a policy's episodes more alike than its start's", _REPLICATION, CUE, "grpo",
        "records", "increase", 0.05, against="start", published=_TUNING,
    ),
    contrast(
        "cue-floor", "with a cue, RL makes episodes more alike above the floor of different questions", _PAPER, CUE,
        "grpo", "words_above_floor", "increase", 0.02, against="start",
    ),
    contrast(
        "sets-vpo", "with several answers, VPO's episodes are less alike than Multi-RLVR's", "design", SETS, "vpo",
        "records", "decrease", 0.02, doubt="trained on sets of answers, played for one",
    ),
    *(one for name, where in PANELS.items() for one in _of_panels(name, where)),
    contrast(
        "priced-world", "in priced, of one demonstrator, two methods are as alike in two worlds as from one start",
        "control", PANELS["priced"], PANEL, "world_cost", "equivalent", 0.02, against="zero",
        doubt="a table knows kinds, not entities: another world is hardly another task to it",
    ),
    contrast(
        "share-above", "on 79 % of prompts the similarity within a model is above .8", _PAPER, PLACES["priced"], "grpo",
        "words_high_top_p", "increase", 0.79, against="zero", published=_SHARES, undecidable=_UNDECIDABLE,
    ),
)  # fmt: skip
"""Registered after the pilot on worlds kept apart and before the first cell of the grid."""
