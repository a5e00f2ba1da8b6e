"""Multiagent fine-tuning (Subramaniam and others, arXiv 2501.05707): does own data keep a team apart?

Copies of a model answer, see what the others say, and answer again; the majority of the last answers is the label. Each
copy is trained on its own episodes that agree with the label, as a generator on its first answer and as a critic on
its last. The paper reports that the answers of so trained agents stay unlike over five rounds and go on improving
(MATH: 58.8 to 66.0 and 22.5 to 28.2), while a single model that trains on its own answers gains for one round. It does
not compare with the union of the data, with a random split of it, or at equal generations.

This experiment differs from the paper. An agent is a table: it chooses which of three kinds of record to search, and
which of four facts of the last record it reads. So an answer can be missing (the budget is spent), right, or one of
three wrong ones, and two agents can agree on a wrong one. Three agents are one base plus noise of .7 on every logit, or
copies of it as in the paper, or a base that mostly reads the same wrong fact of the most frequent kind. A critic sees
whether others agree with it, and keeps its answer, copies theirs or looks again by an episode of its own; it is a table
over these situations. The base's critic sides with the majority; where it decides evenly instead (even), nothing is
claimed. Votes leave out missing answers; ties are drawn. In a round every agent answers 512 fresh questions once, and a
fit is 12 steps of maximum likelihood from the last round's policies, on however many episodes there are, so that all
arms make equal updates. All values are exact in the population. What a team answers (*system*) is the vote after
critics where these were trained, else of first answers. The single agent answers a question three times, as often as a
team, and learns from all its episodes that agree with the majority of these. *alone* are three agents who train
themselves on their own votes and never meet; what they lack is the debate, and not the ensemble.

How unlike agents are is the total variation between the query sequences of two agents on a question (difference), and
the chance that right episodes of two agents found different evidence (across), beside that of one agent (within), in
place of the paper's dissimilarity of embeddings among answers that agree with the vote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..policies.tabular.team_training import Rule
from ..policies.tabular.training import TableConfig
from .grid.arms import Arm
from .grid.claims import Expectation
from .grid.condition import FIRST_WORLD, Condition
from .grid.contrasts import contrast as _claim
from .grid.debate_cells import TEAM_MEASURES, debate_procedure
from .grid.debate_language import DebateGrid
from .grid.debate_rollouts import LANGUAGE_MEASURES
from .grid.system import SystemExperiment
from .grid.system_page import claim_value, counted_verdicts, measured_value
from .grid.system_parts import Panel, SystemTable
from .report.format import Report, number

__all__ = ["CONTRASTS", "EXPERIMENT", "RULES"]

_T11 = "2501.05707 (T11)"
TUNES, COPIES, MISLED = (f"priced_clauses/{start}" for start in ("agents-0.7", "agents-0", "misled-0.7"))
_RATES = tuple(f"{place}/rate={rate:g}" for place in (TUNES, COPIES) for rate in (0.3, 1.0))
EVEN, LANGUAGE = "priced_clauses/even-0.7", "priced/agents-0"
_FIRST = 800  # replicate of the first world; no other experiment has used it

_DESIGNS: Mapping[str, tuple[Rule, str]] = {
    "own": (Rule(), "the paper's: each agent learns its own episodes that agree with the vote after critics"),
    "union": (Rule(split="union"), "every agent learns the episodes of all"),
    "third": (Rule(split="matched"), "every agent learns the same random third of the episodes of all"),
    "random": (Rule(split="random"), "the episodes of all are dealt out at random"),
    "truth": (Rule(label="truth"), "own episodes that are right, whatever the vote"),
    "agreed": (Rule(label="agreed"), "a vote is a label only if two agents or more gave it"),
    "looking": (Rule(copies=False), "critics cannot copy"),
    "copying": (Rule(looks=False), "critics cannot look again"),
    "independent": (Rule(label="first"), "the vote of first answers; no critics"),
    "alone": (Rule(label="own"), "three agents, each learns from the vote of its own three answers"),
    "single": (Rule("first", "union", single=True), "one agent, which learns from the vote of its own three answers"),
    "single_truth": (Rule("truth", "union", single=True), "one agent, which learns its right episodes"),
    "from_start": (Rule(from_start=True), "each fit begins at the start"),
}
RULES = {name: rule for name, (rule, _) in _DESIGNS.items()}
_ARMS = {name: Arm(text, "", "" if name == "own" else "own") for name, (_, text) in _DESIGNS.items()}
_PLACES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((TUNES, COPIES, MISLED), tuple(_ARMS)),
    EVEN: ("own", "random", "truth", "looking", "independent"),
    **dict.fromkeys(_RATES, ("own", "union", "third", "random", "truth", "looking", "alone", "single")),
}

_APART = "the starts are apart already; own data need only not bring them together"
_STALL = "a table has no questions to overfit, which may be what stalls a language model"
_MODEL = "how a critic decides at the start is ours, not a language model's"
_TINY = "8 worlds of a tiny model; its base was shown others' answers of which six of ten are right"
_LANGUAGE_CLAIMS: Sequence[tuple[str, str, str, str, str, Expectation, float, str]] = (
    ("gains", "three rounds raise the accuracy of the team", _T11, "own", "system", "increase", 0.02, "start"),
    ("stalls", "a single agent gains only in round 1", _T11, "single", "system_later", "at most", 0.01, "zero"),
    ("single", "the team is more often right than a single agent", _T11, "own", "system", "increase", 0.02, "single"),
    ("random", "own data do as well as a random split", "control", "own", "system", "equivalent", 0.02, "random"),
    ("part", "copies become unlike by learning their own data", _T11, "own", "excess", "increase", 0.02, "start"),
    ("part-random", "and more so than by a random split", "control", "own", "excess", "increase", 0.02, "random"),
    ("copy", "critics trained on votes copy more than they did", "control", "own", "copies", "increase", 0.1, "start"),
)  # fmt: skip

CONTRASTS = (  # who stays unlike
    _claim("apart", "own data keep agents as unlike as they began, over three rounds", _T11, TUNES, "own",
           "difference@round3", "equivalent", 0.05, against="start", published="holds (no figure)", doubt=_APART),
    _claim("apart-five", "the same over five rounds", _T11, TUNES, "own", "difference", "equivalent", 0.05,
           against="start", published="holds (no figure)", doubt=_APART),
    *(_claim(f"apart-{other}", f"after three rounds, agents of own data are more unlike than those of {words}", _T11,
             TUNES, "own", "difference@round3", "increase", 0.1, against=other, doubt=_APART)
      for other, words in (("union", "all data"), ("third", "a common third"), ("random", "a random split"))),
    *(_claim(f"across-{other}", f"and right episodes of two of them differ more than those of {words}", _T11, TUNES,
             "own", "across@round3", "increase", 0.02, against=other, published="so (no figure)")
      for other, words in (("single", "one single agent"), ("union", "two of all data"))),
    _claim("single-narrows", "over five rounds, right episodes of a single agent come to differ less", _T11, TUNES,
           "single", "within", "decrease", 0.05, against="start", published="falls (no figure)", doubt=_STALL),
    _claim("own-narrows", "an agent of own data is less varied than one of a random split", "design", TUNES, "own",
           "within", "decrease", 0.02, against="random"),
    _claim("copies-part", "copies of one base become unlike by learning their own data", _T11, COPIES, "own",
           "difference", "increase", 0.05, against="start", published="so (no figure)"),
    _claim("copies-part-random", "and more so than by a random split", "control", COPIES, "own", "difference",
           "increase", 0.02, against="random", doubt="in the first round own data of copies are a random split"),
    # who gains, and for how long
    _claim("gains", "five rounds raise the accuracy of the team", _T11, TUNES, "own", "system", "increase", 0.05,
           against="start", published="MATH +7.2 and +5.7 points", doubt="a table begins far below what it can reach"),
    _claim("goes-on", "the team gains after its first round", _T11, TUNES, "own", "system_later", "increase", 0.02,
           against="zero", published="so over five rounds"),
    _claim("stalls", "a single agent gains at most .01 after its first round", _T11, TUNES, "single", "system_later",
           "at most", 0.01, against="zero", published="saturates after one round, then drops", doubt=_STALL),
    *(_claim(f"beats-{other}", f"the team is more often right than {words}", source, TUNES, "own", "system", "increase",
             effect, against=other, published=published)
      for other, words, source, effect, published in (
          ("single", "a single agent that answers as often and votes", _T11, 0.02, "so (no figure)"),
          ("alone", "three agents who train alone and then vote", "control", 0.01, ""),
          ("independent", "one without critics", "control", 0.01, ""),
          ("union", "one trained on all data", "control", 0.01, ""),
          ("third", "one trained on a common third", "control", 0.01, ""),
          ("random", "one trained on a random split", "control", 0.01, ""))),
    _claim("agent-random", "an agent of own data is right as often as one of a random split", "control", TUNES, "own",
           "pass@1", "equivalent", 0.01, against="random"),
    _claim("copies-random", "from copies, own data make the team right as often as a random split", "control", COPIES,
           "own", "system", "equivalent", 0.01, against="random"),
    _claim("copies-single", "from copies, the team is more often right than a single agent", _T11, COPIES, "own",
           "system", "increase", 0.02, against="single", published="so (no figure)"),
    # votes as labels, and critics that copy
    _claim("votes", "training on votes is as good as on the truth", "control", TUNES, "own", "system", "equivalent",
           0.02, against="truth"),
    _claim("misled-gains", "five rounds raise the accuracy of a misled team", _T11, MISLED, "own", "system",
           "increase", 0.05, against="start"),
    _claim("misled-votes", "a misled team loses .05 by training on votes and not on the truth", "control", MISLED,
           "own", "system", "decrease", 0.05, against="truth"),
    _claim("misled-single", "a misled team is more often right than a misled single agent", "design", MISLED, "own",
           "system", "increase", 0.02, against="single"),
    _claim("agreed", "labels that two agents gave make a team more often right", "control", TUNES, "agreed", "system",
           "increase", 0.01),
    _claim("debate", "critics make the vote more often right than first answers", _T11, TUNES, "own", "debate_gain",
           "increase", 0.02, against="zero", published="so (no figure)", doubt=_MODEL),
    _claim("debate-six", "the vote after critics is as good as that of six independent answers, which cost more "
           "queries", "control", TUNES, "own", "debate_over_six", "equivalent", 0.01, against="zero", doubt=_MODEL),
    _claim("copy", "critics trained on votes copy more than they did", "control", TUNES, "own", "copies", "increase",
           0.1, against="start", doubt=_MODEL),
    _claim("copy-blind", "they also copy answers to another question more", "control", TUNES, "own", "blind_copies",
           "increase", 0.1, against="start", doubt="a critic here sees who agrees, and not what is said"),
    _claim("copy-truth", "votes teach more copying than the truth does", "control", TUNES, "own", "copies", "increase",
           0.02, against="truth"),
    _claim("copy-labels", "without copying, votes of the last round are more often right", "control", TUNES, "looking",
           "labels_accuracy", "increase", 0.01),
    _claim("copy-alone", "with critics that only copy, the team is less often right", "control", TUNES, "copying",
           "system", "decrease", 0.01),
    *(_claim(f"lm-{name}", f"language model: {words}", source, LANGUAGE, arm, measure, expected, effect,
               policy="language model", against=against, doubt=_TINY)
      for name, words, source, arm, measure, expected, effect, against in _LANGUAGE_CLAIMS),
    _claim("from-start", "fits that begin at the start do as well", "design", TUNES, "from_start", "system",
           "equivalent", 0.02),
)  # fmt: skip
"""Registered after the pilot on worlds kept apart and before the first cell of the grid or of a language model."""


def _plain(report: Report) -> Sequence[str]:
    """The answer in plain words, from the report's numbers."""
    ends = [number(measured_value(report, TUNES, arm, "difference"), 2) for arm in ("own", "random", "union")]
    right = [number(measured_value(report, TUNES, arm, "system"), 2) for arm in ("own", "random", "alone", "single")]
    even = [number(measured_value(report, EVEN, arm, "system"), 2) for arm in ("own", "independent")]
    return (
        "Multiagent fine-tuning trains each copy of a model on its own part of a debate, by which, the paper says, the "
        "copies stay different and go on learning where a single model that trains on its own answers stops.",
        f"Of {len(CONTRASTS)} registered claims: {counted_verdicts(report)}; agents of tables stayed unlike by own "
        f"data (difference {ends[0]} after five rounds, {ends[1]} by a random split and {ends[2]} by all data), and "
        f"the vote of the team was right in {right[0]} of questions, against {right[1]} by a random split, {right[2]} "
        f"of agents who never met and {right[3]} of a single agent (not certain with all claims counted).",
        f"A single agent gained {number(claim_value(report, 'stalls'))} after its first round, but a table cannot "
        f"overfit (tiny language models: {number(claim_value(report, 'lm-stalls'))}, a team over three rounds "
        f"{number(claim_value(report, 'lm-gains'))}, neither certain), and a debate is worth what its critics are: "
        f"with critics that at first decided evenly, the team ended at {even[0]}, and without critics at {even[1]}.",
    )


_SAME = ("difference", "across", "within", "excess", "entropy")
_UNLIKE = {name: name for name in _SAME} | {"3 rounds": "difference@round3", "reading": "reading_difference"}
_RIGHT = {
    "system": "system", "pass@1": "pass@1", "wrong": "wrong", "pass@8": "pass@8", "team@8": "team@8",
    "own vote": "self_vote", "first vote": "vote_first", "vote of six": "vote_six", "last vote": "vote_last",
    "after round 1": "system_later",
}  # fmt: skip
_CRITICS = {
    "copies": "copies", "blind": "blind_copies", "copied": "copied_share", "looks": "look", "repaired": "repaired",
    "spoiled": "spoiled", "agree first": "agree_first", "agree last": "agree_last", "queries": "queries",
}  # fmt: skip
_PER_ROUND = {
    f"{head} {one}": f"{name}@round{one}" for head, name in (("labels", "labels_accuracy"), ("system", "system"))
    for one in range(1, 6)
}  # fmt: skip
_WORLDS = (TUNES, COPIES, MISLED, EVEN)

EXPERIMENT = SystemExperiment(
    name="multiagent_finetuning",
    summary="multiagent fine-tuning (2501.05707): does learning from one's own data keep a team apart?", version=2,
    conditions=tuple(map(Condition.of, _PLACES)), pilot_replicates=(890, 891, 892, 893),
    contrasts=CONTRASTS, arms=_ARMS, procedure=debate_procedure(RULES), measures=TEAM_MEASURES,
    arms_of={Condition.of(name): arms for name, arms in _PLACES.items()}, first_replicate=_FIRST,
    table=TableConfig(512, 1, learning_rate=3.0, sft_steps=12, steps=5, checkpoints=tuple(range(6))),
    smoke_table=TableConfig(32, 1, sft_steps=2, steps=1, checkpoints=(0, 1)),
    language=DebateGrid(Condition.of(LANGUAGE), ("own", "random", "single"), first_world=FIRST_WORLD + _FIRST),
    language_measures=LANGUAGE_MEASURES, about=" ".join(__doc__.split("\n\n", 1)[1].split()), plain=_plain,
    tables=(
        SystemTable("How unlike", "After five rounds, exact; excess is across minus within, 0 of copies; reading is "
                    "the total variation of the facts that two agents take.", _UNLIKE, _WORLDS),
        SystemTable("How right", "After five rounds, exact. own vote: of three answers of one agent; first vote: of "
                    "one answer of each agent; vote of six: of two each; last vote: after critics; after round 1: "
                    "what the system gained since.", _RIGHT, _WORLDS),
        SystemTable("Votes by round", "Share of right labels in the round's training data (missing votes left out; "
                    "1 where the truth is the label), and the system's accuracy after it.", _PER_ROUND, _WORLDS),
        SystemTable("Critics", "After five rounds. copies: where others say something else; blind: where they answer "
                    "another question; copied: share of changed answers; repaired, spoiled: of answers that were not "
                    "right, and were; queries: of a debate over those of first answers.", _CRITICS, _WORLDS),
        SystemTable("Other learning rates", "A tenth and a third.", {**_UNLIKE, "system": "system"}, _RATES),
    ),
    panels=(
        Panel("difference between agents", TUNES, "difference", ("own", "random", "union", "alone"), axis="rounds"),
        Panel("accuracy of the vote", TUNES, "system", ("own", "random", "alone", "single", "truth"), axis="rounds"),
        Panel("chance that a critic copies", TUNES, "copies", ("own", "truth", "random"), axis="rounds"),
        Panel("right among votes, misled base", MISLED, "label_accuracy", ("own", "looking", "alone"), axis="rounds"),
    ),
    limits=(
        "A table has no questions to overfit and no language to forget, which may be what stalls a language model.",
        "Agents differ by noise on their logits; samples of one language model differ by chance alone, as copies do.",
        "Agents that learn the same data become one table: that own data keep them more unlike is nearly built in.",
        "A critic sees who agrees, not what is said, and judges an answer only by looking again; no void is misread.",
        "Policies make equal updates; alone plays three times as many first answers, a debate a third more queries.",
        "From copies, first votes of a team and of a single agent are equally right: critics add the rest at the end.",
        "The language model is tiny and learns for three rounds; records state one fact, so few votes are wrong.",
    ),
    corrections=(
        "That votes teach less copying than the truth does comes from where it is read: the arms meet other "
        "disagreements. In equal situations critics of votes copy more, by .14 in those of the start, .06 and .03 in "
        "those of the arms' ends (eight worlds, computed again); blind says so, too. The verdict stands as registered.",
        "queries multiplied two means and was .02 too low: all tables ran again. 24 cells of language models ran, and "
        "are not counted: their base answered 2 % (it had not learned to read two facts). Records now state one.",
    ),
    reproduced=f"tabular/{Condition.of(TUNES).slug}/own-0/world-{1000 + _FIRST}",
)  # fmt: skip
"""What `berrypick run multiagent_finetuning` runs."""
