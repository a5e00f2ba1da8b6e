"""RL squeezes, SFT expands (Matsutani and others, arXiv 2509.21128), and a study that found the opposite (2604.14877).

The first paper samples 256 solutions of maths problems: RL leaves fewer distinct wrong ones, SFT on long solutions of a
strong teacher brings more distinct right ones, and visits of reasoning steps fall off with rank 2.5 times as steeply
after RL, a third as steeply after SFT. The second trains a search agent on 200 questions: of 64 episodes 40.1 have
different query sequences before training, 45.5 after RL and 14.7 after SFT on one gold way to each answer; RL solves
more questions in 64 episodes than the base, SFT fewer.

This experiment asks whether the diversity of the demonstrations separates the two (T9). Unlike both, a tabular policy
chooses which of three kinds of record to search, and values are exact. The base draws untried kinds in shares .7, .2,
.1. SFT continues from it on whole episodes of a demonstrator who has the base's own shares, or takes the first kind
always (shares 1,000,000 : 1 : 1 stand for 1 : 0 : 0; after a miss the others are equally likely), or takes all kinds
alike. RL is GRPO, from the base and after the latter two; its start is what it begins at. So the demonstrator sets
whether SFT expands; findings are by how much, and what follows for right and wrong ways and for questions solved. In
*tight* one miss loses the episode, *roomy* allows two; if all misses are allowed, every order is worth the same and RL
changes nothing, by arithmetic. Records exist with .6, .4, .2, which makes the base's habit right; *reversed*, it is
wrong. With a *cue*, questions name a kind, so that RL can learn what no order of kinds knows. Whether RL widens or
narrows is asked both ways: of two claims at most one can hold. Sequences are counted in 64 episodes in roomy, as
published, and in 8 in tight, where 64 find nearly all. Slopes of visits against rank are shown, not claimed. The
worlds, 1300 to 1323, are used nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..policies.tabular.training import TableConfig
from .grid.arms import Arm
from .grid.claims import Expectation
from .grid.condition import FIRST_WORLD, Condition
from .grid.contrasts import Contrast, contrast
from .grid.language_cells import LanguageGrid
from .grid.sequence_measures import SequenceMeasures
from .grid.system import SystemExperiment
from .grid.system_page import claim_value, counted_verdicts, percent
from .grid.system_parts import ROOM_CORRECTION, Panel, Published, SystemTable
from .report.format import Report

__all__ = ["CONTRASTS", "EXPERIMENT"]

_SQUEEZE, _SEARCH, _T9 = "2509.21128", "2604.14877", "2509.21128 against 2604.14877 (T9)"
SAME, ONE, ALL = "shares-70-20-10", "shares-1000000-1-1", "shares-1-1-1"
TIGHT, ROOMY, TIGHT_REVERSED, ROOMY_REVERSED, CUE = (
    f"{world}/{SAME}" for world in ("tight_uneven", "roomy_uneven", "tight_reversed", "roomy_reversed", "tight-cue")
)
_WORLDS = (TIGHT, ROOMY, TIGHT_REVERSED, ROOMY_REVERSED, CUE)
_RATES = tuple(f"{place}/rate={rate:g}" for place in (TIGHT, ROOMY) for rate in (0.3, 1.0))
_FIRST = 300  # replicate of the first world, see the header

_READ = f"{_SQUEEZE}, read for search"
_SET = "the direction is the demonstrator's own; only the size is found"
_BLIND = "a table that cannot tell questions apart has one best order of kinds, at which long RL must end"

_CLAIMS: Mapping[str, tuple[str, str, str, str, Expectation]] = {
    "rl-up": ("RL has more distinct query sequences than its start", _SEARCH, "rl", "queries@64", "increase"),
    "rl-down": ("RL has fewer distinct query sequences than its start", _READ, "rl", "queries@64", "decrease"),
    "rl-signatures": ("RL has fewer distinct kind signatures than the base", _T9, "rl", "signatures@64", "decrease"),
    "rl-wrong": ("RL has fewer distinct wrong sequences than the base", _SQUEEZE, "rl", "wrong@64", "decrease"),
    "rl-right": ("RL has fewer distinct right sequences than the base", _SQUEEZE, "rl", "right@64", "decrease"),
    "rl-pass1": ("RL has less pass@1 than the base", _SEARCH, "rl", "pass@1", "decrease"),
    "one-queries": ("SFT on one way has fewer query sequences than the base", _T9, "sft_one", "queries@64", "decrease"),
    "one-paths": ("SFT on one way covers fewer paths than the base", _T9, "sft_one", "breadth", "decrease"),
    "one-boundary": ("SFT on one way solves fewer questions in 64 episodes", _T9, "sft_one", "pass@64", "decrease"),
    "all-queries": ("SFT on all ways has more query sequences than the base", _T9, "sft_all", "queries@64", "increase"),
    "all-paths": ("SFT on all ways covers more paths than the base", _T9, "sft_all", "breadth", "increase"),
    "all-right": ("SFT on all ways has more distinct right sequences", _SQUEEZE, "sft_all", "right@64", "increase"),
    "all-signatures": ("SFT on all ways has more kind signatures of 8", _T9, "sft_all", "signatures@8", "increase"),
    "same": ("SFT on the base's own shares keeps query sequences", "control", "sft_same", "queries@64", "equivalent"),
    "after-wrong": ("RL after SFT on all ways prunes wrong sequences", _SQUEEZE, "sft_all_rl", "wrong@64", "decrease"),
    "after-right": ("RL after SFT on all ways keeps right sequences", _SQUEEZE, "sft_all_rl", "right@64", "equivalent"),
    "one-rl": ("RL after SFT on one way has more query sequences", "design", "sft_one_rl", "queries@64", "increase"),
    "rl-solves": ("RL solves more questions in 64 episodes than the base", _SEARCH, "rl", "pass@64", "increase"),
}
"""Id -> statement, source, arm, measure, expectation: a change from where the arm's training began."""

_PUBLISHED = {
    "rl-up": "unique query sequences 45.5 against 40.1 of 64", "rl-down": "fewer unique wrong solutions (no figure)",
    "rl-wrong": "fewer unique wrong solutions (no figure)", "rl-right": "so in two of three accounts (no figure)",
    "rl-pass1": "pass@1 .335 against .363 on bridge questions", "one-boundary": "pass@(64,5) .73 against .77",
    "one-queries": "unique query sequences 14.7 against 40.1 of 64",
    "all-right": "more unique right solutions (no figure)", "after-wrong": "prunes the wrong (no figure)",
    "after-right": "keeps the right (no figure)", "rl-solves": "pass@(64,5) .81 against .77",
}  # fmt: skip
_SIZES = {ROOMY: "@64", ROOMY_REVERSED: "@64"}  # in the others sequences of 8 are counted, see the header
_DOUBTS = {"rl": _BLIND, "sft_all_rl": _BLIND, "sft_one": _SET, "sft_all": _SET}


def _change(place: str, where: str, claim: str) -> Contrast:
    """A claim of `_CLAIMS` in a World."""
    statement, source, arm, measure, expected = _CLAIMS[claim]
    counted = "@" in measure and not measure.startswith("pass")
    measure = measure.replace("@64", _SIZES.get(where, "@8")) if counted else measure
    return contrast(
        f"{place.replace(' ', '-')}-{claim}", f"in {place}, {statement}", source, where, arm, measure, expected,
        0.05 if counted else 0.02, against="start", relative=counted,
        published=_PUBLISHED.get(claim, ""), doubt=_DOUBTS.get(arm, ""),
    )  # fmt: skip


def _in_world(place: str, where: str) -> list[Contrast]:
    """All claims in a World where the base's habit is right; in tight, right sequences are signatures."""
    others = ("one-rl", "rl-solves", *(("rl-signatures", "all-signatures") if where == TIGHT else ()))
    return [
        *(_change(place, where, claim) for claim in _CLAIMS if claim not in others),
        contrast(
            f"{place}-rl-boundary", f"in {place}, RL solves at least as many questions in 64 episodes as the base, "
            "minus .01", _T9, where, "base", "pass@64", "at most", 0.01, against="rl",
            published=_PUBLISHED["rl-solves"], doubt="with endless episodes, no question that has an order is lost",
        ),
        contrast(
            f"{place}-remains", f"in {place}, RL after SFT on all ways has more query sequences than after SFT on one",
            "design", where, "sft_all_rl", f"queries{_SIZES.get(where, '@8')}", "increase", 0.05, against="sft_one_rl",
            relative=True, doubt="at one length of training; in the end all starts may meet",
        ),
    ]  # fmt: skip


CONTRASTS = (
    *_in_world("tight", TIGHT),
    *_in_world("roomy", ROOMY),
    *(_change("tight reversed", TIGHT_REVERSED, claim) for claim in ("rl-up", "rl-down", "one-rl")),
    *(_change("roomy reversed", ROOMY_REVERSED, claim) for claim in ("rl-up", "rl-down", "one-rl")),
    *(_change("cue", CUE, claim) for claim in ("rl-up", "rl-down", "rl-pass1", "rl-solves")),
    *(
        contrast(
            f"lm-{place}-{start}-{way}", f"in {place}, after SFT on {shares}, {_CLAIMS[way][0]}", _CLAIMS[way][1],
            f"{place}_uneven/{shares}", "rl", "queries@64_population", _CLAIMS[way][4], 0.05, policy="language model",
            against="start", relative=True, published=_PUBLISHED[way], doubt="8 worlds of a tiny model, 80 steps",
        )
        for place in ("tight", "roomy")
        for start, shares in (("base", SAME), ("one", ONE), ("all", ALL))
        for way in ("rl-up", "rl-down")
    ),
)  # fmt: skip
"""Registered after the pilot on worlds kept apart and before the first cell of the grid or of a language model."""

_ARMS: Mapping[str, Arm] = {
    "base": Arm("the base, not trained", "grpo", "", no_learning=True),
    "rl": Arm("GRPO from the base", "grpo", "base"),
    "sft_same": Arm("imitates the base's own shares", "grpo", "base", imitation=True, demonstrator=SAME),
    "sft_one": Arm("imitates one way", "grpo", "base", imitation=True, demonstrator=ONE),
    "sft_all": Arm("imitates all ways alike", "grpo", "base", imitation=True, demonstrator=ALL),
    "sft_one_rl": Arm("GRPO after imitating one way", "grpo", "sft_one", demonstrator=ONE),
    "sft_all_rl": Arm("GRPO after imitating all ways", "grpo", "sft_all", demonstrator=ALL),
}
_TRAINED = tuple(name for name in _ARMS if name not in ("base", "sft_same"))
_PLACES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((ROOMY, TIGHT), tuple(_ARMS)),
    **dict.fromkeys((TIGHT_REVERSED, ROOMY_REVERSED, CUE), ("base", *_TRAINED)),
    **dict.fromkeys(_RATES, ("rl", "sft_all_rl")),
}


def _plain(report: Report) -> Sequence[str]:
    """The answer in plain words, from the report's numbers."""
    names = ("roomy-one-queries", "roomy-all-queries", "roomy-remains", "tight-remains")
    one, every, left, fatal = (percent(claim_value(report, name)) for name in names)
    places = ("tight", "roomy", "roomy-reversed", "cue")
    tight, roomy, reverse, cue = (percent(claim_value(report, f"{place}-rl-up")) for place in places)
    done, cells = (report["cells"][f"language_model_{name}"] for name in ("done", "cells"))
    return (
        "One paper says that reinforcement learning narrows the ways in which a model solves problems and that "
        "imitation widens them; another measured the opposite of a search agent.",
        f"Of {len(CONTRASTS)} registered claims: {counted_verdicts(report)}; where two misses are allowed, imitation "
        f"changed the number of different query sequences in 64 episodes by {one} when shown one way and by {every} "
        f"when shown all, as demonstrators were made to do, and reinforcement learning changed it by {roomy} "
        f"({reverse} where the base's habit is wrong; in 8 episodes {tight} where a miss is fatal, {cue} under a cue).",
        f"After it, those shown all ways had {left} against those shown one ({fatal} in 8 episodes where a miss is "
        "fatal, and fewer under a cue), but it narrowed nearly every start, as a table with one best order must in the "
        f"end, so demonstrations alone do not explain the papers; of language models {done} of {cells} cells are done.",
    )


_COUNTS = {
    "queries": "queries@64", "right": "right@64", "wrong": "wrong@64", "signatures": "signatures@64",
    **{f"{name} of 8": f"{name}@8" for name in ("queries", "right", "wrong", "signatures")}, "new": "new@64",
    "breadth": "breadth", "entropy": "kind_entropy", "slope": "decay_slope", "R2": "decay_r2", "ranks": "decay_ranks",
}  # fmt: skip
_SOLVED = {
    "pass@1": "pass@1", "pass@8": "pass@8", "pass@64": "pass@64", "gained": "gained@64", "lost": "lost@64",
    **{f"({k}, {within})": f"pass@({k},{within})" for k in (1, 64) for within in (2, 3, 4)},
}  # fmt: skip

EXPERIMENT = SystemExperiment(
    name="squeeze",
    summary="RL squeezes, SFT expands (2509.21128), or the opposite (2604.14877): what decides?",
    conditions=tuple(map(Condition.of, _PLACES)),
    contrasts=CONTRASTS,
    arms=_ARMS,
    arms_of={Condition.of(name): arms for name, arms in _PLACES.items()},
    first_replicate=_FIRST,
    table=TableConfig(learning_rate=3.0, checkpoints=(0, 2, 5, 10, 20, 40, 80, 120, 160, 200)),
    beside=SequenceMeasures(),
    measures=tuple(dict.fromkeys((*_COUNTS.values(), *_SOLVED.values()))),
    language=LanguageGrid(
        {Condition.of(f"{at}_uneven/{start}"): {"rl": 8} for at in ("tight", "roomy") for start in (SAME, ONE, ALL)},
        {"rl": "grpo"},
        controls=(),
        checkpoints=(0, 40, 80),
        first_world=FIRST_WORLD + _FIRST,
        sequences=64,
    ),
    language_measures=(
        *(f"{name}_population" for name in ("queries@64", "right@64", "wrong@64", "pass@1", "pass@8", "breadth")),
        *("unique_query_ratio", "pass@1", "give_up_loss", "execution_loss"),
    ),
    about=" ".join(__doc__.split("\n\n", 1)[1].split()),
    plain=_plain,
    published=Published(
        "Unique query sequences of 64 episodes and pass@(64,5) on 100 two-hop questions, 7B, quoted from accounts of "
        "arXiv 2604.14877, whose SFT imitates one gold way to each answer. 2509.21128 has no such figures.",
        ROOMY,
        {"query sequences of 64": "queries@64", "solved in 64": "pass@64"},
        {"base": ("base", (40.1, 0.77)), "rl": ("RL", (45.5, 0.81)), "sft_one": ("SFT on one way", (14.7, 0.73))},
        "base",
    ),
    tables=(
        SystemTable(
            "Sequences, signatures, paths",
            "Of 64 episodes of a question, or 8, after 200 steps, exact. new: the share of distinct sequences that 64 "
            "episodes of the base do not have (row of base: of another 64 of its own). slope: of -log10 visits against "
            "rank, over the kinds queried at each hop; visits are expected ones, so that all policies have as many.",
            _COUNTS,
            _WORLDS,
        ),
        SystemTable(
            "Questions solved",
            "gained: share of questions that 64 episodes of the policy solve and 64 of the base do not; lost: the "
            "reverse (row of base: another 64 of its own). (k, T): pass@(k,T), solved by one of k episodes within its "
            "first T queries; 0 for T below 2, the number of hops.",
            _SOLVED,
            _WORLDS,
        ),
        SystemTable("Other learning rates", "RL at rates .3 and 1 instead of 3.", _COUNTS, _RATES),
    ),
    panels=tuple(
        Panel(f"distinct query sequences of 64,\n{name}", where, "queries@64", _TRAINED, axis="steps of SFT or RL")
        for name, where in (("roomy", ROOMY), ("roomy, reversed", ROOMY_REVERSED))
    ),
    limits=(
        "A table knows no words: its sequences differ in the order of kinds alone, where the papers count texts.",
        "In the end RL squeezes a table, which has one best order; where the habit is wrong it widens first (figure).",
        "Demonstrations are whole episodes, failures among them; those of the papers are right solutions.",
        "An arm that imitates and then reinforces has had 200 steps of each, twice as many as the others.",
        "Claims about language models had no pilot; their SFT starts from fresh weights and not from one base.",
    ),
    corrections=(f"{ROOM_CORRECTION}; the claims that RL lowers pass@1, refused as without room, are contradicted.",),
    reproduced=f"tabular/{Condition.of(ROOMY).slug}/rl-0/world-{FIRST_WORLD + _FIRST}",
)
"""What `berrypick run squeeze` runs."""
