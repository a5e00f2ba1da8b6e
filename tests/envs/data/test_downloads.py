"""`berrypick data get` and `data check`."""

from __future__ import annotations

import json

import pytest
from berrypick.__main__ import main
from berrypick.envs.data.downloads import SOURCES, check_download, get_dataset
from berrypick.envs.data.leaks import Leak, find_leaks
from berrypick.envs.data.questions_file import data_folder
from berrypick.envs.questions import Question
from berrypick.envs.tasks.registry import make_task
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BERRYPICK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BERRYPICK_DATA", raising=False)
    return tmp_path / "cache"


def hotpot_rows(repository, configuration, split):
    assert (repository, configuration) == ("hotpotqa/hotpot_qa", "distractor")
    for number in range(3):
        yield {
            "id": f"{split}{number}", "question": f"who is {split} {number}?", "answer": "Ada", "type": "bridge",
            "level": "easy", "supporting_facts": {"title": ["T"], "sent_id": [0]},
            "context": {"title": ["T", "U"], "sentences": [["Ada is here.", " Yes."], [f"Nobody {number}."]]},
        }  # fmt: skip


def test_a_download_becomes_an_environment_with_checksums(cache):
    folder = get_dataset("hotpotqa", rows=hotpot_rows)
    assert folder == cache / "data" / "hotpotqa" == data_folder("hotpotqa")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["questions"] == {"train": 3, "validation": 3} and manifest["passages"] == 4
    assert set(manifest["sha256"]) == {"questions.jsonl", "corpus.jsonl.gz"}
    task = make_task("berrypick/HotpotQA-v0")
    assert {split: len(questions) for split, questions in task.questions.items()} == {"train": 3, "validation": 3}
    assert get_dataset("hotpotqa", rows=None) == folder, "the second time nothing is downloaded"


def test_a_changed_download_is_refused(cache):
    folder = get_dataset("hotpotqa", rows=hotpot_rows)
    (folder / "questions.jsonl").write_text("{}\n")
    with pytest.raises(BerrypickError, match=r"questions.jsonl changed .* get it again"):
        get_dataset("hotpotqa", rows=hotpot_rows)
    (folder / "manifest.json").unlink()
    with pytest.raises(BerrypickError, match="is not a complete download"):
        check_download(folder)


def test_of_two_downloads_at_once_the_first_to_finish_stays_and_both_get_it(cache):
    def slow_rows(repository, configuration, split):
        if split == "train":
            get_dataset("hotpotqa", rows=hotpot_rows)  # another begins later and is done before
            manifests.append((cache / "data" / "hotpotqa" / "manifest.json").stat().st_ino)
        yield from list(hotpot_rows(repository, configuration, split))[:2]

    manifests = []
    folder = get_dataset("hotpotqa", rows=slow_rows)
    assert (folder / "manifest.json").stat().st_ino == manifests[0]
    assert json.loads((folder / "manifest.json").read_text())["questions"] == {"train": 3, "validation": 3}
    assert list((cache / "data").iterdir()) == [folder]


def test_a_download_that_breaks_leaves_nothing(cache):
    def breaks(*_):
        yield from list(hotpot_rows("hotpotqa/hotpot_qa", "distractor", "train"))[:1]
        raise BerrypickError("cannot download; check the network")

    with pytest.raises(BerrypickError, match="cannot download"):
        get_dataset("hotpotqa", rows=breaks)
    assert list((cache / "data").iterdir()) == []
    with pytest.raises(BerrypickError, match="has rows of another shape now"):
        get_dataset("hotpotqa", rows=lambda *_: [{"strange": 1}])


def test_a_cache_that_cannot_be_written_says_so(cache, monkeypatch):
    (cache.parent / "file").touch()
    monkeypatch.setenv("BERRYPICK_CACHE", str(cache.parent / "file"))
    with pytest.raises(BerrypickError, match=r"cannot write .*file/data/hotpotqa: Not a directory; .*BERRYPICK_CACHE"):
        get_dataset("hotpotqa", rows=hotpot_rows)


def test_unknown_sets_name_the_nearest_and_every_set_has_an_environment():
    from berrypick.envs.tasks.corpus import SETS

    with pytest.raises(UnknownNameError, match="did you mean hotpotqa"):
        get_dataset("hotpot")
    assert set(SOURCES) == {public.name for public in SETS.values()}


def test_without_a_network_the_command_says_so(monkeypatch, capsys):
    datasets = pytest.importorskip("datasets")

    def unreachable(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    assert main(["data", "get", "musique"]) == 2
    error = capsys.readouterr().err
    assert "cannot download" in error and "no route to host" in error and "BERRYPICK_DATA" in error
    assert error.count("\n") == 1


def question(key, text, answer="a", passages=()):
    return Question(key, text, (answer,), (tuple(frozenset([p]) for p in passages),) if passages else ())


def test_leaks_are_found_by_text_id_and_evidence_and_each_pair_counts_once():
    train = [question("1", "Who is the king?"), question("2", "other", "Ada", ("p", "q")), question("3", "three")]
    dev = [question("9", "who is a King"), question("8", "reworded", "ada", ("q", "p")), question("3", "changed")]
    assert find_leaks({"train": train, "dev": dev}) == [
        Leak("same question", ("train", "1"), ("dev", "9")),
        Leak("same id", ("train", "3"), ("dev", "3")),
        Leak("same evidence and answer", ("train", "2"), ("dev", "8")),
    ]
    assert find_leaks({"train": train, "dev": [question("7", "new")]}) == []
    assert find_leaks({"train": [train[0]], "dev": [question("1", "who is king")]})[0].kind == "same question"


def test_data_check_reports_formats_counts_and_leaks(tmp_path, capsys, shared_data):
    source = shared_data / "hotpotqa" / "original_sample.json"
    rows = json.loads(source.read_text())
    (tmp_path / "train.json").write_text(json.dumps(rows[:30]))
    (tmp_path / "dev.json").write_text(json.dumps(rows[29:]))
    assert main(["data", "check", str(tmp_path / "train.json"), str(tmp_path / "dev.json"), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert sorted(report["questions"].values()) == [21, 30] and len(report["leaks"]) == 1
    assert set(report["formats"].values()) == {"HotpotQA / 2WikiMultiHopQA"}
    assert main(["data", "check", str(tmp_path / "train.json"), str(tmp_path / "dev.json")]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 leak"
    assert main(["data", "check", str(source)]) == 0
    assert "0 leaks" in capsys.readouterr().out


def test_data_check_needs_a_file_and_no_corpus(tmp_path, capsys):
    assert main(["data", "check"]) == 2
    assert "give at least one question file" in capsys.readouterr().err
    rows = [{"id": str(n), "question": "Who?", "golden_answers": ["x"], "metadata": {"supporting_ids": ["p"],
             "split": split}} for n, split in enumerate(("train", "dev"))]  # fmt: skip
    (tmp_path / "alone.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["data", "check", str(tmp_path / "alone.jsonl")]) == 1
    assert "same question" in capsys.readouterr().out
    assert main(["data", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "check" in shown and "ignore[" not in shown


def test_the_real_sets_do_not_leak_between_their_splits(shared_data):
    from berrypick.envs.data.upstream import read_dataset

    for name in ("hotpotqa", "2wikimultihopqa", "musique"):
        folder = shared_data / name
        splits = read_dataset(folder / "questions.jsonl", folder / "corpus.jsonl.gz").questions
        assert len(splits) == 2
        assert not [leak for leak in find_leaks(splits) if leak.kind != "same evidence and answer"]
