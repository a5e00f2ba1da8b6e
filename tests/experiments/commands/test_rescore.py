"""`berrypick rescore`: values worked out by hand, what is absent, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from berrypick.__main__ import main
from berrypick.envs.data.answer_keys import KeyedQuestion
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TurnRecord, read_records, write_records
from berrypick.envs.rescoring import AnswerKey
from berrypick.experiments.measures.rescored import Rescoring
from berrypick.retrieval_index.errors import BerrypickError

EVIDENCE = [[["p1"], ["p2"]]]
WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=6"]


def rollout(question: str, sample: int, said: str | None, **facts: Any) -> EpisodeRecord:
    """One search that showed p1, then the answer, graded against "Ada Lovelace"."""
    hits = facts.pop("hits", [[HitRecord(id="p1", score=1.0)]])
    asked = QuestionRecord(
        id=question, text="who?", answers=facts.pop("answers", ["Ada Lovelace"]), evidence=facts.pop("evidence", [])
    )
    turns = [TurnRecord(text="<search> x </search>", action="search", queries=["x"], hits=hits)]
    turns += [TurnRecord(text="hm", action="invalid")] * facts.pop("invalid", 0)
    turns += [] if said is None else [TurnRecord(text=f"<answer> {said} </answer>", action="answer")]
    return EpisodeRecord(
        question=asked,
        group_id=question,
        sample_index=sample,
        turns=turns,
        answer_raw=said,
        **{"em": float(said == "Ada Lovelace"), "f1": 0.25, "reward": 0.5, **facts},
    )


ROLLOUTS = [
    rollout("q1", 0, "Ada Lovelace"),
    rollout("q1", 1, "Ada"),
    rollout("q2", 0, None),
    rollout("q2", 1, "Lovelace", invalid=1),
]


def run(
    tmp_path: Path, records: list[EpisodeRecord], *words: str, key: list[object] | None = None
) -> tuple[int, list[EpisodeRecord]]:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.unlink(missing_ok=True)
    write_records(source, records)
    more: list[str] = []
    if key is not None:
        questions = tmp_path / "key.jsonl"
        questions.write_text("".join(json.dumps(line) + "\n" for line in key))
        more = ["--questions", str(questions)]
    status = main(["rescore", str(source), "--out", str(out), *more, *words])
    return status, read_records(out) if out.exists() else []


def test_another_reward_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, new = run(tmp_path, ROLLOUTS, "--reward", "f1 + 0.5*format - 0.1*queries", "--json")
    assert status == 0
    # F1 of "Ada" and of "Lovelace" with "Ada Lovelace": precision 1, recall 1/2, so 2/3
    assert [record.f1 for record in new] == pytest.approx([1, 2 / 3, 0, 2 / 3])
    assert [record.reward for record in new] == pytest.approx([1 + 0.5 - 0.1, 2 / 3 + 0.5 - 0.1, -0.1, 2 / 3 - 0.1])
    assert [record.em for record in new] == [1, 0, 0, 0] and [record.sub_em for record in new] == [1, 0, 0, 0]
    report = json.loads(capsys.readouterr().out)
    assert report["scores"]["reward"]["old"] == 0.5
    assert report["scores"]["reward"]["new"] == pytest.approx((1.4 + 2 / 3 + 0.4 - 0.1 + 2 / 3 - 0.1) / 4)
    # q1: from 0.5 and 0.5 to 1.4 and 2/3 + 0.4; q2: to -0.1 and 2/3 - 0.1
    of_questions = [(0.9 + 2 / 3 - 0.1) / 2, (-0.6 + 2 / 3 - 0.6) / 2]
    difference = report["scores"]["reward"]["difference"]
    assert difference["value"] == pytest.approx(sum(of_questions) / 2) and difference["n"] == 2
    assert (difference["low"], difference["high"]) == pytest.approx((min(of_questions), max(of_questions)))
    assert (report["to_right"], report["to_wrong"], report["examples"]) == (0, 0, [])
    assert report["scores"]["evidence_recall"]["new"] is None


def test_other_answers_flip_rollouts_and_say_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key: list[object] = [{"id": "q1", "golden_answers": ["ada"]}, {"id": "q9", "golden_answers": ["nobody"]}]
    status, new = run(tmp_path, ROLLOUTS, "--reward", "em", key=key)
    assert status == 0 and [record.em for record in new] == [0, 1, 0, 0]
    assert [record.question.answers for record in new] == [["ada"]] * 2 + [["Ada Lovelace"]] * 2
    assert new[0].f1 == pytest.approx(2 / 3)
    out = capsys.readouterr().out
    assert "answers replaced for 1 question, of 2 in the file" in out and "now right: 1; now wrong: 1" in out
    assert "now wrong: question q1, sample 0: 'Ada Lovelace'; accepted: ada" in out


def test_evidence_of_the_questions_file_counts(tmp_path: Path) -> None:
    key: list[object] = [
        {"id": name, "golden_answers": ["Ada"], "metadata": {"supporting_ids": ["p1", "p2"]}} for name in ("q1", "q2")
    ]
    status, new = run(tmp_path, ROLLOUTS, "--reward", "evidence_recall + all_hops", key=key)
    assert status == 0 and [record.reward for record in new] == [0.5] * 4
    assert new[0].hop_hits == [[True, False]] and new[0].question.evidence == EVIDENCE


def test_a_reward_without_its_data_is_absent_and_never_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = rollout("q1", 0, "Ada", evidence=EVIDENCE)
    unseen = rollout("q1", 1, "Ada", evidence=EVIDENCE, hits=[])
    bare = rollout("q2", 0, "Ada")
    status, new = run(tmp_path, [known, unseen, bare], "--reward", "evidence_recall")
    assert status == 0 and [record.reward for record in new] == [0.5]
    out = capsys.readouterr().out
    assert "left out: 1 rollout: evidence_recall needs the passages shown, which are not recorded" in out
    assert "left out: 1 rollout: evidence_recall needs evidence, which is not recorded; give it with --questions" in out


def test_rollouts_without_right_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = rollout("q1", 0, "Ada", answers=[], em=None, f1=None)
    assert run(tmp_path, [bare], "--reward", "em") == (2, [])
    assert "no rollout can be scored: em needs right answers" in capsys.readouterr().err
    status, new = run(tmp_path, [bare], "--reward", "format")
    assert status == 0 and (new[0].reward, new[0].em, new[0].f1) == (1, None, None)


def test_the_reward_of_play_is_found_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Independent of this module: what the environment paid while it was played."""
    reward = "em + 0.3*all_hops - 0.05*queries + 0.1*format"
    words = ["--policy", "random_order", "--samples", "4", "--out", str(tmp_path / "run")]
    assert main(["eval", *WORLD, f"reward={reward}", *words]) == 0
    out = tmp_path / "again.jsonl"
    assert main(["rescore", str(tmp_path / "run"), "--reward", reward, "--out", str(out)]) == 0
    assert out.read_bytes() == (tmp_path / "run" / "rollouts.jsonl").read_bytes()


def test_several_candidates_are_read_from_the_answer_block(tmp_path: Path) -> None:
    words = ["--policy", "oracle", "--samples", "1", "--out", str(tmp_path / "run")]
    assert main(["eval", *WORLD, "num_answers=2", "reward=answer_recall", *words]) == 0
    out = tmp_path / "again.jsonl"
    assert main(["rescore", str(tmp_path / "run"), "--reward", "answer_recall", "--out", str(out)]) == 0
    old = [record.reward for record in read_records(tmp_path / "run" / "rollouts.jsonl")]
    assert [record.reward for record in read_records(out)] == old


@pytest.mark.parametrize(
    ("words", "key", "message"),
    [
        (["--reward", "emm"], None, "unknown reward term 'emm'; did you mean em"),
        (["--reward", "1e308*queries + 1e308*queries"], None, "the weighted sum of the reward is inf"),
        (["--reward", "em"], [{"id": "q7", "golden_answers": ["a"]}], "no question of --questions is in these"),
        (["--reward", "em"], [{"id": "q1", "golden_answers": []}], "key.jsonl:1: golden_answers must be a list"),
        (["--reward", "em"], [{"id": "q1"}], "key.jsonl:1: no question"),
        (["--reward", "em"], [{"id": "q1", "golden_answers": ["a"], "question": "when?"}], "is another question in"),
        (["--reward", "em"], [{"id": "q1", "golden_answers": ["a"]}] * 2, "duplicate question id 'q1'"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_no_file(
    words: list[str], key: list[object] | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, ROLLOUTS, *words, key=key) == (2, [])
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
    assert {path.name for path in tmp_path.iterdir()} <= {"in.jsonl", "key.jsonl"}


def test_an_existing_file_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out.jsonl").write_text("mine")
    write_records(tmp_path / "in.jsonl", ROLLOUTS)
    words = ["rescore", str(tmp_path / "in.jsonl"), "--reward", "em", "--out", str(tmp_path / "out.jsonl")]
    assert main(words) == 2
    assert "exists and is not overwritten" in capsys.readouterr().err
    assert (tmp_path / "out.jsonl").read_text() == "mine"


# ---- the stream itself


def rescored(
    records: list[EpisodeRecord], reward: str = "em", **keys: KeyedQuestion
) -> tuple[list[EpisodeRecord], Any]:
    stream = Rescoring(reward, keys)
    new = list(stream.records(records))
    return new, stream.report()


def test_the_first_five_flips_are_examples_and_the_order_of_the_file_changes_no_score() -> None:
    records = [rollout(f"q{n % 4}", n, "Ada Lovelace", em=0.0, f1=n / 8) for n in range(7)]
    records.append(rollout("q3", 9, "Ada", em=1.0))
    _, report = rescored(records, "f1")
    assert (report["num_episodes"], report["to_right"], report["to_wrong"], len(report["examples"])) == (8, 7, 1, 5)
    assert report["examples"][0] == {
        "question": "q0", "sample": 0, "now": "right", "answer": "Ada Lovelace", "answers": ["Ada Lovelace"],
    }  # fmt: skip
    _, turned = rescored(records[::-1], "f1")
    assert turned["scores"]["f1"]["difference"] == pytest.approx(report["scores"]["f1"]["difference"])
    assert turned["examples"][0]["now"] == "wrong"
    row = report["scores"]["em"]
    assert (row["old"], row["new"], row["num_old"], row["num_new"]) == (1 / 8, 7 / 8, 8, 8)
    assert row["difference"]["value"] == pytest.approx((1 + 1 + 1 + 0) / 4)


def test_scores_of_one_side_have_no_difference() -> None:
    ungraded = rollout("q1", 0, "Ada Lovelace", em=None, f1=None, reward=None)
    _, report = rescored([ungraded])
    assert report["scores"]["em"] == {"old": None, "new": 1.0, "num_old": 0, "num_new": 1, "difference": None}
    assert (report["to_right"], report["to_wrong"]) == (0, 0)
    assert report["scores"]["evidence_recall"]["num_new"] == 0


def test_the_commonest_reason_is_named_and_reasons_are_counted() -> None:
    known = [rollout("q1", n, "Ada", evidence=EVIDENCE, hits=[]) for n in range(2)]
    bare = rollout("q2", 0, "Ada")
    with pytest.raises(BerrypickError, match="no rollout can be scored: evidence_recall needs the passages shown"):
        rescored([bare, *known], "evidence_recall")
    right = rollout("q3", 0, "Ada", evidence=EVIDENCE)
    _, report = rescored([bare, *known, right], "evidence_recall")
    assert sorted(report["not_scored"].values()) == [1, 2]
    assert (report["questions_in_file"], report["questions_replaced"]) == (0, 0)


def test_another_question_is_told_by_its_first_sixty_characters() -> None:
    asked = "which " * 12  # 72 characters
    key = KeyedQuestion(AnswerKey(answers=("Ada",)), f"{asked} town")
    record = rollout("q1", 0, "Ada")
    with pytest.raises(BerrypickError) as caught:
        rescored([record.model_copy(update={"question": record.question.model_copy(update={"text": asked})})], q1=key)
    assert f"({asked[:60]!r} and {asked[:60]!r})" in str(caught.value)
    same = KeyedQuestion(AnswerKey(answers=("Ada",)), " who? ")
    new, report = rescored([record, rollout("q2", 0, "Ada")], q1=same)
    assert [one.em for one in new] == [1.0, 0.0] and report["questions_replaced"] == 1


def test_a_grade_that_is_lost_is_no_flip() -> None:
    _, report = rescored([rollout("q1", 0, "Ada", answers=[], em=1.0)], "format")
    assert (report["to_right"], report["to_wrong"], report["examples"]) == (0, 0, [])
    assert report["scores"]["em"] == {"old": 1.0, "new": None, "num_old": 1, "num_new": 0, "difference": None}
