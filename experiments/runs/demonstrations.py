"""The demonstrations of a training run: played, filtered, counted, encoded."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ...envs.episode import Episode
from ...envs.formats.turn_format import Search
from ...envs.questions import passages_of
from ...envs.record import write_records
from ...envs.recording import record_of
from ...envs.tasks.registry import Task, make_task
from ...policies.counter_random import row_seed
from ...policies.demonstrators import BridgePolicy, RecordedPolicy
from ...policies.language.batches import TokenRows
from ...policies.language.episode_rows import rows_of
from ...policies.language.model import LanguageModelPolicy
from ...policies.policy import Sampling
from ...policies.rollout import rollout
from ...policies.scripted import scripted_policy
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.files import whole_file, writing
from .demonstration_counts import DemonstrationCounts
from .run_folder import write_json
from .training_config import TrainConfig

__all__ = ["demonstrate", "long_turns", "play_demonstrations"]

logger = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]
"""(demonstrations played so far, all of them)."""


def demonstrate(
    policy: LanguageModelPolicy,
    task: Task,
    config: TrainConfig,
    *,
    out: Path | None = None,
    on_progress: OnProgress | None = None,
) -> TokenRows:
    """Plays the demonstrator on the training questions and encodes its episodes as a session would.

    Args:
        policy: its tokenizer encodes the episodes.
        task: of the run.
        config: of the run.
        out: receives demonstrations.json, the counts, and demonstrations.jsonl, the episodes as rollouts, if the
            demonstrator is one that filters.
        on_progress: called after every turn with the number of demonstrations played so far and of all.

    Returns:
        `config.demonstrations` rows for each demonstrated question, in the order of the questions.
    """
    episodes, counts = play_demonstrations(task, config, on_progress)
    rows = rows_of(policy, episodes)
    if counts is not None:
        tokens = round(sum(map(len, rows.ids)) / len(rows.ids), 1)
        logger.info("%s", counts.sentence(tokens))
        if out is not None:
            write_json(out / "demonstrations.json", {**asdict(counts), "tokens_per_demonstration": tokens})
            _write_episodes(out / "demonstrations.jsonl", episodes, config)
    cut, turns, longest = long_turns(rows, config.rl.max_new_tokens)
    if cut:
        logger.warning(
            "%d of %d turns of the demonstrations have more than the %d tokens a turn may have when the policy plays, "
            "the longest %d; give --max-new-tokens %d to let it finish them",
            cut,
            turns,
            config.rl.max_new_tokens,
            longest,
            longest,
        )
    return rows


def play_demonstrations(
    task: Task, config: TrainConfig, on_progress: OnProgress | None = None
) -> tuple[list[Episode], DemonstrationCounts | None]:
    """Plays the demonstrator on the training questions.

    The bridge demonstrator plays each question in every way it knows. Its episodes that show all evidence and the
    answer are kept, the first `ways` different ones of a question, and repeated up to `config.demonstrations`. So two
    runs that differ only in `ways` imitate equally many demonstrations of the same questions. Recorded episodes are
    played again; those that end with the right answer are kept.

    Returns:
        `config.demonstrations` episodes for each demonstrated question, and the counts of a demonstrator that filters.

    Raises:
        BerrypickError: no question has a demonstration.
    """
    if config.demonstration_args:
        task = make_task(config.env, **{**config.env_args, **config.demonstration_args})
    demonstrator = scripted_policy(config.demonstrator)
    questions = task.split(config.split)
    if isinstance(demonstrator, RecordedPolicy):
        demonstrator.check_corpus(task.passages)
    if isinstance(demonstrator, BridgePolicy | RecordedPolicy):
        return _filtered(demonstrator, task, config, on_progress)
    groups = rollout(
        demonstrator,
        questions,
        task.spec,
        task.searcher,
        num_samples=config.demonstrations,
        sampling=Sampling(),
        seed=config.sft.seed,
        max_rows=512,
        on_turn=_counting(len(questions) * config.demonstrations, on_progress),
    )
    return [episode for group in groups for episode in group], None


def _counting(total: int, on_progress: OnProgress | None) -> Callable[[Sequence[Episode]], None] | None:
    """Counts the episodes that end, over all calls; an episode is never seen again after its last turn."""
    if on_progress is None:
        return None
    done = 0

    def after_turn(moved: Sequence[Episode]) -> None:
        nonlocal done
        done += sum(episode.done for episode in moved)
        on_progress(done, total)

    return after_turn


def long_turns(rows: TokenRows, limit: int) -> tuple[int, int, int]:
    """Turns of more than `limit` tokens, all turns, and the tokens of the longest one."""
    lengths: list[int] = []
    for mask in rows.masks:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
        lengths += (edges[1::2] - edges[::2]).tolist()
    return sum(length > limit for length in lengths), len(lengths), max(lengths, default=0)


def _filtered(
    demonstrator: BridgePolicy | RecordedPolicy, task: Task, config: TrainConfig, on_progress: OnProgress | None
) -> tuple[list[Episode], DemonstrationCounts]:
    questions = task.split(config.split)
    played: list[list[Episode]] = [[] for _ in questions]
    variants = demonstrator.variants()
    counting = _counting(len(questions) * len(variants), on_progress)
    for variant in variants:
        groups = rollout(
            variant,
            questions,
            task.spec,
            task.searcher,
            num_samples=1,
            sampling=Sampling(),
            seed=config.sft.seed,
            max_rows=4096,
            on_turn=counting,
        )
        for episodes, (episode,) in zip(played, groups, strict=True):
            episodes.append(episode)
    kept: list[Episode] = []
    left_out: Counter[str] = Counter()
    demonstrated = distinct = 0
    for question, episodes in zip(questions, played, strict=True):
        reasons = [demonstrator.why_not(episode) for episode in episodes]
        good = _different([episode for episode, reason in zip(episodes, reasons) if not reason])[: demonstrator.ways]
        if not good:
            left_out[max(reasons, key=demonstrator.reasons.index)] += 1  # the way that came furthest
            continue
        order = np.random.default_rng(row_seed(config.sft.seed, question.id, 0)).permutation(len(good))
        kept += [good[order[number % len(good)]] for number in range(config.demonstrations)]
        demonstrated += 1
        distinct += min(len(good), config.demonstrations)
    counts = DemonstrationCounts(
        len(questions),
        demonstrated,
        dict(left_out.most_common()),
        len(kept),
        distinct,
        sum(map(_has_retry, kept)),
        round(sum(len(episode.queries) for episode in kept) / max(1, len(kept)), 3),
    )
    if not kept:
        raise BerrypickError(
            f"{config.demonstrator} has no demonstration for any of {len(questions)} training questions "
            f"({counts.reasons}); allow more searches or passages, or choose another --demonstrator"
        )
    return kept, counts


def _different(episodes: Sequence[Episode]) -> list[Episode]:
    """The episodes whose turns differ, the first of each kind."""
    return list({tuple(turn.draft.text for turn in episode.turns): episode for episode in reversed(episodes)}.values())[
        ::-1
    ]


def _has_retry(episode: Episode) -> bool:
    """Whether a search brought no evidence that was not shown before."""
    wanted = passages_of(episode.question.evidence)
    seen = frozenset[str]()
    for turn in episode.turns:
        if isinstance(turn.action, Search):
            found = wanted & {hit.id for ranking in turn.hits for hit in ranking}
            if found <= seen:
                return True
            seen |= found
    return False


def _write_episodes(path: Path, episodes: Sequence[Episode], config: TrainConfig) -> None:
    """Writes the demonstrations as rollouts, which `berrypick report` and `berrypick play` read."""
    seed = config.sft.seed
    records = [
        record_of(
            episode,
            sample_index=at % config.demonstrations,
            seed=seed,
            run_id=path.parent.name,
            policy_id=config.demonstrator,
            env_id=config.env,
        )
        for at, episode in enumerate(episodes)
    ]
    with writing(path, "free some space or choose another --out"), whole_file(path) as work:
        write_records(work, records)
