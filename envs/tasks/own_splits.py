"""The arguments `holdout`, `train_questions` and `split_seed` of corpus tasks."""

from __future__ import annotations

from pathlib import Path

from ...retrieval_index.errors import BerrypickError
from ..data.splits import HOLDOUT, held_out, some_questions, without_near_duplicates
from ..data.upstream import Dataset, read_more_questions
from ..questions import Question

__all__ = ["own_splits"]


def own_splits(
    dataset: Dataset, holdout: int, train_questions: str | int, split_seed: int
) -> dict[str, tuple[Question, ...]]:
    """Splits of your own over the questions of a corpus; without these arguments, its own splits stay.

    Args:
        dataset: questions with their own splits.
        holdout: so many questions of "dev" or "validation", else of "test", become the split "holdout". The others of
            that split join "train", without near duplicates of held-out ones: three quarters of the content words in
            common, or the same evidence and answer. A larger holdout contains a smaller one of the same seed.
        train_questions: a number of training questions, chosen by the seed, or a file of questions over the same
            passages that become the training questions; "" takes all.
        split_seed: makes both choices.

    Raises:
        BerrypickError: too few questions, or a file that cannot be read.
    """
    if isinstance(split_seed, bool) or not isinstance(split_seed, int):
        raise BerrypickError(f"split_seed must be a whole number, got {split_seed!r}")
    splits = held_out(dataset.questions, holdout, split_seed)
    if train_questions == "":
        return splits
    if isinstance(train_questions, str):
        own = read_more_questions(Path(train_questions), dataset.passages, split="train")
        kept = without_near_duplicates(own, splits.get(HOLDOUT, ()))
        if not kept:
            raise BerrypickError(
                f"all {len(own)} questions of {train_questions} are held out; give others, or a holdout of 0"
            )
        return {**splits, "train": tuple(kept)}
    train = splits.get("train", ())
    if isinstance(train_questions, bool) or not 1 <= train_questions <= len(train):
        raise BerrypickError(
            f"train_questions must be a file or a number from 1 to the {len(train)} training questions, "
            f"got {train_questions!r}"
        )
    return {**splits, "train": some_questions(train, train_questions, split_seed)}
