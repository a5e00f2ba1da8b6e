"""Critique in the loop (Xi and others, arXiv 2411.16579): do comments on failures keep hard questions in the data?

In self-training a model imitates its own right answers, which are mostly answers to easy questions. The paper lets a
critic comment on wrong answers and the model try again; what then is right becomes training data, without the comment.
It reports that such data keep hard questions and that gains are largest on these, at test time too. Its tables were not
at hand: directions are published here, and no figure.

This experiment differs from the paper. A tabular policy chooses which kind of record to search. Passages hold four
facts, so that the wrong one can be read: a clause is taken at random with chance .2, by design and not by learning. A
question has five first attempts, as in the README of the code. Only if all are wrong, each is tried once more with a
fresh budget, and at most one right retry is accepted. All arms know which answers are right, those without comments
too. A critic reads the failed attempt's own passages and names the kinds that are void at each hop; it knows no other
record, and names no answer. In a table such a comment acts through one weight, taken from the logits of named kinds,
which is fitted like the rest: in the demonstrated retries 90 % obey. Any comment halves the chance of misreading a
retry's passages; that is planted, and all that "check again" and a comment on the hop alone can do here. Each round
fits the likeliest table to the seed demonstrations and its own accepted episodes, from the base. At equal cost, blind
retries go on until they have made as many searches as the critique's, a comment counted as one.

Hard are, fixed once, those of the solvable questions that the start solves least often, a quarter of them. The
demonstrator draws kinds in shares .7, .2, .1. In *tight* this habit is right and a miss loses the attempt; in *roomy*
one miss is allowed; in *reversed* the habit is wrong. No other experiment has used the worlds, 1700 to 1723. Language
models, in tight Worlds of one fact a passage, are given the comment in words below the question; with two facts the
tiny model, after 520 steps of SFT, read too badly to learn from its successes (pass@1 .014 in World 1790).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from ..policies.tabular.retry_rounds import CRITIQUE, Loop
from ..policies.tabular.training import TableConfig
from .grid.arms import Arm
from .grid.condition import FIRST_WORLD, Condition
from .grid.contrasts import Contrast, contrast
from .grid.critique_cells import critique_procedure
from .grid.critique_language import CRITIQUE_LANGUAGE_MEASURES, CritiqueGrid
from .grid.critique_measures import CRITIQUE_MEASURES
from .grid.system import SystemExperiment
from .grid.system_page import claim_value, counted_verdicts, measured_value
from .grid.system_parts import Panel, SystemTable
from .report.format import Report, number

__all__ = ["CONTRASTS", "EXPERIMENT", "LOOPS"]

_PAPER = "2411.16579"
_T10 = f"{_PAPER} (T10)"
TIGHT, ROOMY, REVERSED, PLAIN = (
    f"{world}/shares-70-20-10" for world in ("tight_clauses", "priced_clauses", "reversed_clauses", "tight_uneven")
)
EVEN = "tight_clauses/shares-1-1-1"
_FIRST = 700  # replicate of the first world, see the header
_LARGER, _TESTED = "larger (no figure)", "more at test time (no figure)"
_HELD = "same world, seed demonstrations, questions and random numbers; the policies are exact in the population"
_TABLE = "a table cannot tell questions apart, so that what it learns from hard ones it does on easy ones"
_PLANTED = "that any comment halves misreading is planted"
_FEWER = "comments on other questions still name the kinds that are used most, and so spread the retries"
_contrast = partial(contrast, held=_HELD)
_more = partial(_contrast, arm="critique", expected="increase")
_tight, _test = (partial(_more, condition=TIGHT, **more) for more in ({}, {"against": "zero"}))
_same = partial(_contrast, condition=TIGHT, measure="hard_share", expected="equivalent", effect=0.01)
_language = partial(
    _more, condition=PLAIN, effect=0.02, policy="language model", against="resample", min_worlds=8,
    doubt="8 worlds of a tiny model that was shown retries; 40 steps a round", held="same world, base and questions",
)  # fmt: skip


def _everywhere(name: str, where: str) -> tuple[Contrast, ...]:
    """The claims that are tried in three Worlds."""
    more = partial(_more, condition=where)
    return (
        more(f"{name}-share", f"in {name}, hard questions have a larger share in the data of the third round with "
             "critique than with as many blind retries", _T10, measure="hard_share", effect=0.02, published=_LARGER),
        more(f"{name}-share-cost", f"in {name}, so they have against blind retries of equal cost", _T10,
             measure="hard_share", effect=0.02, against="equal_cost", published=_LARGER,
             doubt="a comment is charged as one search"),
        _contrast(f"{name}-narrows", f"in {name}, with blind retries their share falls from round 1 to round 3", _T10,
                  where, "resample", "hard_share_change", "decrease", 0.01, against="zero",
                  published="falls without a critic (no figure)"),
        more(f"{name}-hard", f"in {name}, critique has more pass@1 on hard questions than blind retries", _T10,
             measure="pass@1_hard", effect=0.01, published="largest gains there (no figure)", doubt=_TABLE),
        more(f"{name}-hard-start", f"in {name}, critique raises pass@1 on hard questions above the start's", _T10,
             measure="pass@1_hard", effect=0.01, against="start", published="up (no figure)", doubt=_TABLE),
        more(f"{name}-pass1", f"in {name}, critique has more pass@1 than blind retries", _PAPER, measure="pass@1",
             effect=0.01, published="more (no figure)", doubt=_TABLE),
    )  # fmt: skip


CONTRASTS = (
    *_everywhere("tight", TIGHT),
    *_everywhere("roomy", ROOMY),
    *_everywhere("reversed", REVERSED),
    _contrast("tight-holds", "in tight, with critique their share is the same in rounds 1 and 3", _PAPER, TIGHT,
              "critique", "hard_share_change", "equivalent", 0.01, against="zero", published="kept (no figure)"),
    _tight("tight-hard-8", "in tight, critique has more pass@8 on hard questions than blind retries", _PAPER,
           measure="pass@8_hard", effect=0.02),
    _tight("tight-coverage", "in tight, critique solves more of the solvable training questions", _PAPER,
           measure="coverage", effect=0.05, published="more (no figure)"),
    _tight("tight-ways", "in tight, accepted solutions are spread over more ways, by .1 nat", _PAPER,
           measure="signature_entropy", effect=0.1, published="narrowing is avoided (no figure)"),
    _tight("tight-shuffled", "in tight, comments enlarge the share of hard questions more than others' comments",
           "control", measure="hard_share", effect=0.01, against="shuffled", doubt=_FEWER),
    _same("tight-generic", 'in tight, "check again" leaves the share of blind retries', "control", arm="check_again",
          doubt=_PLANTED),
    _same("tight-wrong", 'in tight, comments on other attempts do no more for it than "check again"', "control",
          arm="shuffled", against="check_again", doubt=_FEWER),
    _same("tight-self", "in tight, a critic that misreads as the actor does has the share of one that does not",
          f"{_PAPER}, control", arm="self_critic", against="critique"),
    _test("test-gain", "in tight, a retry after a comment solves more than a blind one", _PAPER, effect=0.02,
          measure="test_gain", published=_TESTED),
    _test("test-three", "in tight, it solves more than three blind attempts", _PAPER, effect=0.01,
          measure="test_over_three", published=_TESTED),
    _test("test-vote", "in tight, it solves more than the most frequent answer of three", _PAPER, effect=0.02,
          measure="test_over_vote", published="more than majority voting (no figure)",
          doubt="the critic tells right from wrong without fail, a vote does not"),
    _test("test-naming", 'in tight, it solves more than a retry after "check again"', "control", effect=0.04,
          measure="test_naming", doubt=_PLANTED),
    _test("test-focus", "in tight, the gain over a blind retry is larger on hard questions", _PAPER, effect=0.02,
          measure="test_focus", published="largest on hard questions (no figure)"),
    _language("lm-share", "hard questions have a larger share of the third round's data than with blind retries", _T10,
              measure="hard_share", published=_LARGER),
    _language("lm-hard", "critique has more pass@1 on hard questions than blind retries", _T10, measure="pass@1_hard"),
    _language("lm-shuffled", "comments enlarge that share more than comments on other attempts", "control",
              measure="hard_share", against="shuffled"),
    _language("lm-test", "a retry after a comment solves more than a blind one", _PAPER, measure="test_gain",
              against="zero", published=_TESTED),
)  # fmt: skip
"""Registered before the first cell of the grid; those of language models later, before the first of their cells."""

_LOOPS: Mapping[str, tuple[Loop, str]] = {
    "resample": (Loop(), "blind retries, as many"),
    "equal_cost": (Loop(equal_cost=True), "blind retries of as much cost as the critique's"),
    "no_retry": (Loop(retries=False), "no retries"),
    "check_again": (Loop("generic"), "retries after a comment that names nothing"),
    # a table has no state that such a comment could change: the same by construction
    "hop_only": (Loop("generic"), "retries after a comment that names the hop"),
    "shuffled": (Loop("shuffled"), "retries after comments on other attempts"),
    "self_critic": (Loop("believed"), "retries after the comments of a critic that misreads"),
    "critique": (CRITIQUE, "retries after comments"),
    "kept": (Loop("void", keeps_comments=True), "the same; right retries are imitated with their comments, too"),
}
LOOPS: Mapping[str, Loop] = {name: loop for name, (loop, _) in _LOOPS.items()}
_ARMS: Mapping[str, Arm] = {
    name: Arm(summary, "", "" if name == "resample" else "resample", (1.0, 5.0, 20.0), "first attempts")
    for name, (_, summary) in _LOOPS.items()
}
_LANGUAGE_ARMS = {"resample": ("resample", False), "check_again": ("unknown", False),
                  "shuffled": ("void_records", True), "critique": ("void_records", False)}  # fmt: skip
_FEW = ("resample", "equal_cost", "check_again", "shuffled", "critique")
_PLACES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((TIGHT, ROOMY, REVERSED), tuple(LOOPS)),
    **dict.fromkeys((PLAIN, EVEN), _FEW),
}


def _plain(report: Report) -> Sequence[str]:
    """The answer in plain words, from the report's numbers."""
    share, one = (
        [number(measured_value(report, TIGHT, arm, name), 3) for arm in ("critique", "resample", "shuffled")]
        for name in ("hard_share", "pass@1")
    )
    few, many = (
        [number(measured_value(report, TIGHT, arm, "hard_share", size)) for arm in ("critique", "resample")]
        for size in ("1", "20")
    )
    names = ("tight-hard", "tight-hard-start", "roomy-hard-start", "reversed-hard-start")
    blind, start, roomy, reverse = (number(claim_value(report, name), 3) for name in names)
    return (
        "The paper says that a model which trains itself on its own right answers sees ever fewer hard questions, and "
        "that a critic, whose comments help it to repair wrong answers, keeps hard questions in the data.",
        f"Of {len(CONTRASTS)} registered claims: {counted_verdicts(report)}; where the habit is right, hard questions "
        f"had {share[0]} of the accepted data in the third round, against {share[1]} after as many blind retries "
        f"({few[0]} against {few[1]} with one first attempt, {many[0]} against {many[1]} with 20) and {share[2]} after "
        f"comments on other attempts, and pass@1 on them differed by {blind} from that after blind retries and by "
        f"{start} from the start's ({roomy} where misses are allowed, {reverse} for a wrong habit).",
        "No question here says which kind of record answers it, so that what comments find out about some is learnt "
        f"for all, and costs pass@1 where the habit was right ({one[0]} against {one[1]}); the share of hard "
        "questions fell with critique, too, and where questions say more this was not tried.",
    )


_DATA = {
    "hard share": "hard_share", "since round 1": "hard_share_change", "coverage": "coverage",
    "of hard": "coverage_hard", "accepted": "accepted", "ways each": "signatures", "ways, nats": "signature_entropy",
    "repaired": "repaired", "episodes": "generations", "cost": "cost",
}  # fmt: skip
_POLICY = {
    "pass@1": "pass@1", "pass@8": "pass@8", "hard, pass@1": "pass@1_hard", "hard, pass@8": "pass@8_hard",
    "ways in 8": "paths@8", "entropy of first kind": "first_kind_entropy", "aversion": "aversion",
}  # fmt: skip
_TEST = {
    "one attempt": "pass@1", "two": "pass@2", "three": "pass@3", "vote of 3": "vote@3", "check again": "tested_again",
    "critique": "tested", "critique over two": "test_gain", "on hard": "test_gain_hard", "vote, hard": "vote@3_hard",
    "critique, hard": "tested_hard",
}  # fmt: skip
_WORLDS = tuple(_PLACES)

EXPERIMENT = SystemExperiment(
    name="critique_loop",
    summary="critique in the loop (2411.16579): do comments on failures keep hard questions in the data?",
    conditions=tuple(map(Condition.of, _PLACES)), first_replicate=_FIRST, pilot_replicates=(790, 791, 792, 793),
    contrasts=CONTRASTS, arms=_ARMS, procedure=critique_procedure(LOOPS), measures=CRITIQUE_MEASURES,
    arms_of={Condition.of(name): arms for name, arms in _PLACES.items()},
    swept=(Condition.of(TIGHT), Condition.of(REVERSED)),
    table=TableConfig(steps=3, checkpoints=(0, 1, 2, 3)),
    smoke_table=TableConfig(steps=2, checkpoints=(0, 1, 2)),
    language=CritiqueGrid(Condition.of(PLAIN), _LANGUAGE_ARMS, first_world=FIRST_WORLD + _FIRST),
    language_measures=CRITIQUE_LANGUAGE_MEASURES, about=" ".join(__doc__.split("\n\n", 1)[1].split()), plain=_plain,
    tables=(
        SystemTable(
            "Accepted data",
            "Of the third round. Strength is the number of first attempts; claims are read at 5. Coverage: solvable "
            "training questions with an accepted episode; ways each: different ones of a solved question; repaired: "
            "share of right retries; accepted, episodes and cost (searches and comments) are per question. In "
            "self_critic the critic misreads as the actor does; in kept, right retries are imitated with the comment, "
            "too; hop_only is a comment on the hop alone, which for a table is check_again by construction.",
            _DATA, _WORLDS,
        ),
        SystemTable("The policy", "After three rounds, exact in the population, one attempt.", _POLICY, _WORLDS),
        SystemTable(
            "Comments at test time",
            "After three rounds: questions solved by one attempt, by one of two or three, by the most frequent answer "
            "of three, or by an attempt and, if that was wrong, a retry after a comment.",
            _TEST, (TIGHT, ROOMY), strengths=False,
        ),
    ),
    panels=(
        Panel("share of hard questions in accepted data,\ntight", TIGHT, "hard_share", _FEW, axis="round"),
        Panel("pass@1 on hard questions,\ntight", TIGHT, "pass@1_hard", _FEW, axis="rounds"),
        Panel("share of hard questions in accepted data,\nreversed", REVERSED, "hard_share", _FEW, axis="round"),
    ),
    limits=(
        "Claims are of five first attempts; with 20, critique adds less than asked to the share of hard questions.",
        "Only unsolved questions are tried again: any retry that helps adds hard ones. See comments on other attempts.",
        "Comments are true and demonstrated retries obey them: that a retry gains by them is planted, how much is not. "
        "The halved misreading is .03 of the gains over blind attempts and votes (one world, computed again).",
        "A table cannot learn to read, nor tell questions apart; here no question says which kind of record it needs.",
        "Comments name kinds of record; the paper's find the wrong step of a chain of thought.",
        "In a vote no two wrong answers agree, which is kind to votes; critic and judge never err on what is right.",
        "The language model's base, in World 1790, repeated 38 % of kinds just named void, and 63 % without a comment.",
    ),
    corrections=(
        "The room of pass@1 is that of a policy which knows the records. A table has .021 at most in roomy, less than "
        "three margins: that critique has more pass@1 there could not have been supported. The verdict stands.",
        "Against solvable questions alone, the gain on hard ones at test time is .05 larger, not .11; still enough.",
        "Claims of language models were registered after the tables had run, before their own cells; Holm counts all.",
    ),
    reproduced=f"tabular/{Condition.of(TIGHT).slug}/critique-5/world-{FIRST_WORLD + _FIRST}",
)  # fmt: skip
"""What `berrypick run critique_loop` runs."""
