"""`berrypick report --index` and `--policy`: stored queries searched again, stored turns scored by a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.record import EpisodeRecord, read_records, write_records
from berrypick.envs.recording import record_of
from berrypick.envs.tasks.registry import make_task
from berrypick.experiments.measures.score_again import episode_to_score, score_again
from berrypick.experiments.measures.search_again import search_again
from berrypick.experiments.measures.summary import summarize
from berrypick.retrieval_index.errors import BerrypickError
from berrypick.retrieval_index.searcher import Hit
from fixtures.demonstrations import demonstrate

WORLD = {"num_train": 4, "num_validation": 0, "num_test": 4, "index": "bm25s"}


@pytest.fixture(scope="module")
def task():
    return make_task("berrypick/World-v0", **WORLD)


@pytest.fixture(scope="module")
def played(task) -> list[EpisodeRecord]:
    groups = demonstrate(task, samples=4)
    return [record_of(episode, sample_index=n, seed=0) for group in groups for n, episode in enumerate(group)]


def without_hits(record: EpisodeRecord) -> EpisodeRecord:
    turns = [turn.model_copy(update={"hits": []}) for turn in record.turns]
    update = {"turns": turns, "evidence_recall": None, "hop_hits": [], "unknown": ["passages"]}
    return record.model_copy(update=update)


def test_the_same_index_brings_the_same_passages_back(task, played: list[EpisodeRecord]) -> None:
    again = list(search_again(map(without_hits, played), task.searcher))
    assert [record.turns for record in again] == [record.turns for record in played]
    assert [record.evidence_recall for record in again] == [record.evidence_recall for record in played]
    assert {record.index_id for record in again} == {task.searcher.index_id}
    assert "distinct_passages" in summarize([without_hits(record) for record in played], ks=(1,))["absent"]
    found, before = (summarize(records, ks=(1,))["measures"] for records in (again, played))
    for key in ("distinct_passages", "breadth", "retrieval_clusters", "path_entropy"):
        assert found[key] == before[key]


class Counted:
    """A searcher of as many passages as it is asked for."""

    index_id = "counted"

    def search(self, queries, k):
        return [[Hit(f"{query}{rank}", "", "", 1.0) for rank in range(k)] for query in queries]


@pytest.mark.parametrize(
    ("rules", "passages"),
    [(None, 3), ({}, 3), ({"top_k": 1}, 1), ({"top_k": 5}, 5)],
)
def test_a_query_brings_as_many_passages_as_the_rules_say_or_three(rules, passages: int) -> None:
    base = {"question": {"id": "q", "text": "?", "answers": ["x"]}, "group_id": "g", "sample_index": 0}
    turns = [{"text": "s", "action": "search", "queries": ["a", "b"]}]
    record = EpisodeRecord.model_validate(base | {"turns": turns, "spec": rules})
    deep = EpisodeRecord.model_validate(base | {"turns": turns, "spec": {"top_k": 9}})
    (found, _) = search_again([record, deep], Counted())  # one batch, whose depth is that of its deepest record
    assert [[hit.id for hit in hits] for hits in found.turns[0].hits] == [
        [f"{query}{rank}" for rank in range(passages)] for query in "ab"
    ]


def test_report_searches_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, index, file = tmp_path / "corpus.jsonl", tmp_path / "index", tmp_path / "r.jsonl"
    corpus.write_text("".join(json.dumps({"id": f"p{n}", "title": "", "text": f"word{n} body"}) + "\n" for n in (1, 2)))
    assert main(["index", "build", "--corpus", str(corpus), "--backend", "bm25s", "--out", str(index)]) == 0
    base = {"question": {"id": "q", "text": "?", "answers": ["x"], "evidence": [[["p1"], ["p2"]]]}, "group_id": "g"}
    rows = [
        EpisodeRecord.model_validate(
            base | {"sample_index": n, "turns": [{"text": "s", "action": "search", "queries": [query]}]}
        )
        for n, query in enumerate(["word1", "word1", "word2"])
    ]
    write_records(file, rows)
    capsys.readouterr()
    assert main(["report", str(file), "--json"]) == 0
    assert "breadth" in json.loads(capsys.readouterr().out)["arms"]["r.jsonl"]["absent"]
    assert main(["report", str(file), "--json", "--index", str(index)]) == 0
    measures = json.loads(capsys.readouterr().out)["arms"]["r.jsonl"]["measures"]
    assert measures["retrieval_clusters"]["value"] == 2 and measures["breadth"]["value"] == 1
    assert measures["evidence_recall"]["value"] == 0.5


def test_a_model_scores_stored_turns_as_training_would(played: list[EpisodeRecord], task) -> None:
    """Independently: the rows of the played episodes themselves."""
    from berrypick.policies.language import load_language_model, rows_of
    from berrypick.policies.language.batches import log_probs_of_rows

    policy = load_language_model("tiny")
    scored = list(score_again(played, policy))
    episodes = [episode for group in demonstrate(task, samples=4) for episode in group]
    direct = log_probs_of_rows(policy.model, rows_of(policy, episodes), 4096)
    for record, (log_probs, entropies) in zip(scored, direct, strict=True):
        tokens = [turn.tokens for turn in record.turns]
        assert [value for part in tokens for value in part.log_probs] == pytest.approx(log_probs.tolist(), abs=1e-5)
        assert [value for part in tokens for value in part.entropies] == pytest.approx(entropies.tolist(), abs=1e-5)
        first = record.turns[0]
        assert all(0 <= start < len(first.text) for start in first.tokens.char_starts)
    report = summarize(scored, ks=(1,))
    assert report["measures"]["query_token_entropy"]["value"] > 0
    assert "query_sequence_entropy" in report["absent"], "the tokens were not sampled from this policy"


def test_what_cannot_be_scored_is_one_line(
    played: list[EpisodeRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "r.jsonl"
    write_records(file, [record.model_copy(update={"spec": None}) for record in played])
    assert main(["report", str(file), "--policy", "tiny"]) == 2
    assert "does not hold the rules it was played by (spec)" in capsys.readouterr().err
    assert main(["report", str(file), "--policy", "oracle"]) == 2
    assert "--policy oracle has no token probabilities" in capsys.readouterr().err
    assert main(["report", str(file), "--index", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert len(read_records(file)) == len(played)


def test_what_was_not_known_is_known_after_a_search_and_refused_queries_are_not_searched() -> None:
    question = {"id": "q", "text": "?", "answers": ["x"], "evidence": [[["a0"], ["zz"]]]}
    turns = [
        {"text": "s", "action": "search", "queries": ["a"]},
        {"text": "s", "action": "search", "queries": ["b"], "error": "search budget exceeded"},
        {"text": "x", "action": "answer"},
    ]
    base = {"question": question, "group_id": "g", "sample_index": 0, "turns": turns}
    unknown = (["passages"], ["passages", "turns"], None)
    records = [EpisodeRecord.model_validate(base | {"unknown": parts}) for parts in unknown]
    found = list(search_again(records, Counted()))
    assert [record.unknown for record in found] == [None, ["turns"], None]
    assert [[hit.id for ranking in turn.hits for hit in ranking] for turn in found[0].turns] == [
        ["a0", "a1", "a2"],
        [],
        [],
    ]
    assert (found[0].evidence_recall, found[0].hop_hits, found[0].index_id) == (0.5, [[True, False]], "counted")
    bare = EpisodeRecord.model_validate(base | {"question": question | {"evidence": []}})
    assert next(search_again([bare], Counted())).evidence_recall is None


def test_scores_are_kept_to_six_places_and_an_index_is_not_asked_for_nothing() -> None:
    class Scored(Counted):
        def search(self, queries, k):
            assert queries, "there is nothing to search"
            return [[Hit("a", "", "", 0.12345678)] for _ in queries]

    base = {"question": {"id": "q", "text": "?", "answers": ["x"]}, "group_id": "g", "sample_index": 0}
    asked = EpisodeRecord.model_validate(base | {"turns": [{"text": "s", "action": "search", "queries": ["a"]}]})
    (found,) = search_again([asked], Scored())
    assert found.turns[0].hits[0][0].score == 0.123457
    silent = EpisodeRecord.model_validate(base | {"turns": []})
    assert [record.index_id for record in search_again([silent], Scored())] == ["counted"]


def test_the_episode_of_a_record_has_ended_under_its_own_rules(played: list[EpisodeRecord]) -> None:
    episode = episode_to_score(played[0])
    assert episode.done and episode.spec.turn_format == played[0].spec["turn_format"]
    assert [turn.draft.text for turn in episode.turns] == [turn.text for turn in played[0].turns]
    assert [turn.observation for turn in episode.turns] == [turn.observation for turn in played[0].turns]


def test_rollouts_beyond_the_window_come_back_without_tokens(
    played: list[EpisodeRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    from berrypick.policies.language import load_language_model, rows_of
    from berrypick.policies.language.batches import used_length

    policy = load_language_model("tiny")
    lengths = [used_length(mask) for mask in rows_of(policy, [episode_to_score(record) for record in played]).masks]
    window = sorted(set(lengths))[-2]
    monkeypatch.setattr(type(policy), "window", property(lambda self: window))
    found = list(score_again(played, policy))
    assert [record.turns[0].tokens is not None for record in found] == [length <= window for length in lengths]
    assert {record.scored_by for record in found} == {policy.policy_id}


def test_spellings_of_special_tokens_are_scored_as_text(played: list[EpisodeRecord]) -> None:
    from berrypick.policies.language import load_language_model

    policy = load_language_model("tiny")
    end = policy.tokenizer.eos_token
    turn = played[0].turns[0].model_copy(update={"text": f"<search> {end} </search>"})
    (found,) = score_again([played[0].model_copy(update={"turns": [turn]})], policy)
    tokens = found.turns[0].tokens
    assert policy.tokenizer.eos_token_id not in tokens.ids and len(tokens.ids) == len(tokens.log_probs)
    assert policy.tokenizer.decode(tokens.ids) == turn.text and tokens.char_starts[0] == 0


def test_a_turn_format_in_a_file_that_a_record_names_is_not_run(played: list[EpisodeRecord], tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    spec = {**played[0].spec, "turn_format": f"{tmp_path / 'theirs.py'}:theirs"}
    with pytest.raises(BerrypickError, match="theirs"):
        episode_to_score(played[0].model_copy(update={"spec": spec}))
    assert not (tmp_path / "ran").exists()
