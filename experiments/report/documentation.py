"""Writes docs/measures.md from the registry: `python -m berrypick.experiments.report.documentation`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from ..measures.formulas import formula_of
from ..measures.limits import limit_of, source_of
from ..measures.measure import Measure
from ..measures.measures import DERIVED, FAMILIES, OF_GROUPS
from .format import markdown_table

__all__ = ["measures_page"]

_HEAD = """# Measures

<!-- generated: python -m berrypick.experiments.report.documentation > docs/measures.md -->

Every measure has one key and one label. The key is its name in JSON and CSV; the label is its name on screens, pages
and figures. Narrow columns show the short label where there is one.

A *group* is the set of rollouts of one question. `berrypick report` computes a value for each question and prints the
mean over questions with a 95 % bootstrap interval. A measure without data is left out and listed as absent; it is never
reported as zero. Measures marked (World) need the questions of `berrypick/World-v0`. `berrypick explain MEASURE` prints
a measure and how it is computed.

## Intervals

A bootstrap draws the questions again and again. Where all questions have the same value all draws are equal, so that
its interval would be [0, 0] for 0 right answers of 5. A measure whose unit is a share of something then has the *Wilson
score interval* over the n questions (Wilson 1927, J. Am. Stat. Assoc. 22, 209-212): from 0 to z² / (n + z²) if all
questions have 0, from n / (n + z²) to 1 if all have 1, with z = 1.96. For 0 of 5 that is 0 to .434; screens write
`0.000 ≤.434`, and `1.000 ≥.566` for 5 of 5. Losses and distances, which subtract two shares, have no such interval.
Like them, all other measures without spread, and shares between 0 and 1, are shown with a dash; in JSON their `low` and
`high` are equal.

`±` is half the interval. Where it would imply values below 0 that the interval does not hold, the interval itself is
written, such as `44.0 [2.0, 123.0]`. A single question has an interval in JSON only if it is Wilson's, and none on
screens. Exact values of World have none. Paired differences keep the bootstrap; those without spread say so.

## Recorded rewards

`reward` is the mean of the rewards that rollouts carry, be they berrypick's, a trainer's or a judge's. JSON and the
page always hold it. A screen shows it where it differs from EM. A reward of 1 or more without an exact match, or of 0
or less with one, *contradicts* the match; rewards between are partial and contradict nothing. If rollouts contradict,
the report counts them in a line and in its last sentence, JSON has them as `reward_against_em`, and the screen adds the
substring match. The marks of episodes on the page are those of exact match, and name a reward that differs. EM compares
the whole answer with an accepted one, so that a right answer in a sentence never has it. Read the recorded reward or
the substring match there, or score the rollouts again:

    berrypick rescore theirs.jsonl --reward sub_em --out rescored.jsonl

## Rollouts from anywhere

    berrypick report runs/eval other_rollouts.jsonl
    berrypick report other_rollouts.jsonl --index indexes/wiki
    berrypick report runs/eval --policy runs/grpo

Most measures need no model and no index. Those of passages need the passages that were shown: `--index` searches the
stored queries again in an index folder, with as many passages per query as the rollouts' rules say, or three. It also
computes evidence recall again where evidence is known. Entropies need token probabilities: `--policy` scores the stored
turns with any weights that `berrypick eval` opens. It needs the rules (`spec`) of the rollouts, which give the prompt.
Sequence entropy stays absent then, because it needs samples of the scoring policy itself.

`--policy` also measures the *query information*: how much a rollout's first turn, if it searches, tells of its
question. The policy scores first turns after their own question and after the other ones of up to 32 questions, which a
fixed seed chooses. At most 200,000 tokens per arm are scored, so that long prompts use fewer questions; the report says
how many. The information falls to 0 when a policy writes the same queries whatever the question is, which the entropy
of queries does not show. The estimate is biased: in expectation it is a lower bound of the mutual information, and it
is never above the logarithm of the number of questions. Compare only values of equally many questions.

## How alike arms are

    berrypick report runs/grpo-test runs/darling-test

of two or more arms also says how alike their rollouts are: the mean cosine of two rollouts of a question, within each
arm and between every two, as Artificial Hivemind does (arXiv 2510.22954). A rollout's text is its queries and its
answer; words count, weighted by their rarity (TF-IDF). In brackets is the same of rollouts of different questions, the
floor, without which no cosine means much. JSON has both under `likeness`, with their difference, the share of questions
above .8, and intervals over the questions. Up to 64 questions that all arms answered are compared, and 8 rollouts of
each. Between arms, two rollouts of one sample number count only where there are no others: runs of one seed share their
random numbers, which alone would make such a pair alike.

## Checkpoints

    berrypick report runs/eval --by step
    berrypick report runs/step-0 runs/step-100 runs/step-200 --by step

shows the measures of each `checkpoint_step`, on the questions that all steps share and on equally many rollouts of
each. Folders of one step each are one series. The *onset* of narrowing is the first step from which on the mean of a
measure of breadth or entropy stays below the interval of the first step, to the end of the series. An onset at the last
step rests on one step. The collapse alarms of [training.md](training.md) are listed below the tables.
`report_by_step.html` has the curves of all measures, with the onsets marked, and the episodes of each step.

## Another reward, other answers

    berrypick rescore runs/eval --reward "f1 - 0.01*queries" --out rescored.jsonl
    berrypick rescore runs/eval --reward em --questions aliases.jsonl --out rescored.jsonl

computes EM, F1, substring match, evidence recall and reward of stored rollouts again, without a model, and prints what
changed. `berrypick list` shows the reward terms. A line of the questions file needs {"id", "golden_answers"}; any known
question format works, and evidence is replaced where the file has it. Rollouts that lack what a term of the reward
needs are left out and counted.

## Size

Reports read one line at a time. For the page they keep the episodes of the first questions, compressed, up to 40
million characters; those are some 50,000 short episodes. 100,000 rollouts (12,500 questions x 8) of 2.5 KB each took
35 s and 0.65 GiB of memory on one core, or 27 s and 0.63 GiB with `--no-html`. Their page held 56,000 episodes in
3.6 MB. A file of 5 GB, with 50 KB each, took 30 s and 0.67 GiB before episodes were compressed.
"""


def measures_page() -> str:
    """Builds the page, in Markdown."""
    parts = [
        _HEAD,
        "## Computed from a group's rollouts",
        _table(OF_GROUPS),
        "## Computed for several values of k",
        _table(FAMILIES),
        "## Computed from other values",
        _table(DERIVED),
        _FORMULAS,
        _formulas([*OF_GROUPS, *FAMILIES, *DERIVED]),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


_FORMULAS = """## Formulas, limits and sources

Values are per question unless the formula says otherwise; a report prints their mean over questions. C(n, k) is the
number of ways to choose k of n. H is the entropy in nats."""


def _formulas(measures: Iterable[Measure]) -> str:
    rows = [
        [f"`{measure.key}`", *(_cell(of(measure)) for of in (formula_of, limit_of, source_of))] for measure in measures
    ]
    return markdown_table(["key", "computed", "does not say", "source"], rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _table(measures: Iterable[Measure]) -> str:
    rows = [
        [f"`{measure.key}`", measure.label, measure.short, measure.unit, measure.meaning.replace("{k}", "k")]
        for measure in measures
    ]
    return markdown_table(["key", "label", "short label", "unit", "meaning"], rows)


if __name__ == "__main__":
    sys.stdout.write(measures_page())
