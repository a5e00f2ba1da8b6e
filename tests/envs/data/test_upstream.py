"""Files in upstream formats, recognised by content."""

from __future__ import annotations

import gzip
import json
import shutil

import berrypick  # noqa: F401
import gymnasium as gym
import pytest
from berrypick.__main__ import main
from berrypick.envs.data.answer_keys import read_answer_keys
from berrypick.envs.data.questions_file import QuestionError
from berrypick.envs.data.upstream import read_any_corpus, read_dataset
from berrypick.envs.data.upstream_records import FORMATS
from berrypick.retrieval_index.corpus import CorpusError
from berrypick.retrieval_index.errors import BerrypickError

CORPUS = "corpus.jsonl.gz"
SAMPLES = [  # file, recognised as, records, whether they carry their passages, hops of the first record
    ("hotpotqa/original_sample.json", "HotpotQA / 2WikiMultiHopQA", 50, True, 2),
    ("hotpotqa/original_sample_hf_columns.json", "HotpotQA columns", 20, True, 2),
    ("hotpotqa/original_sample_ircot.jsonl", "IRCoT", 50, True, 2),
    ("hotpotqa/original_sample_verl.jsonl", "Search-R1 / verl rows", 50, False, None),
    ("2wikimultihopqa/original_sample.json", "HotpotQA / 2WikiMultiHopQA", 50, True, 2),
    ("musique/original_sample.json", "MuSiQue", 50, True, 2),
    ("musique/original_sample_lines.jsonl", "MuSiQue", 20, True, 2),
    ("strategyqa/original_sample.json", "StrategyQA", 50, False, 2),
    ("bamboogle/original_sample.json", "Bamboogle", 50, False, None),
    ("bamboogle/original_sample_verl.jsonl", "Search-R1 / verl rows", 50, False, None),
]


@pytest.mark.parametrize(("name", "recognised", "records", "carries", "hops"), SAMPLES, ids=[row[0] for row in SAMPLES])
def test_every_upstream_sample_reads_whole_whatever_its_name(
    shared_data, tmp_path, name, recognised, records, carries, hops
):
    path = tmp_path / "nameless"
    shutil.copy(shared_data / name, path)
    corpus = None if carries else shared_data / name.split("/")[0] / CORPUS
    dataset = read_dataset(path, corpus)
    questions = [question for split in dataset.questions.values() for question in split]
    assert dataset.format == recognised and len(questions) == records
    assert len({question.id for question in questions}) == records
    known = {passage.id for passage in dataset.passages}
    for question in questions:
        assert question.answers and question.text.strip()
        assert all(hop <= known for path in question.evidence for hop in path)
    if hops is not None:
        assert all(question.evidence for question in questions)


def _answered(question, dataset):
    texts = " ".join(p.text for p in dataset.passages if any(p.id in hop for path in question.evidence for hop in path))
    return question.answers[0].lower() in texts.lower()


def test_supporting_passages_hold_the_answers(shared_data):
    for name in (
        "hotpotqa/original_sample.json",
        "hotpotqa/original_sample_ircot.jsonl",
        "musique/original_sample.json",
    ):
        dataset = read_dataset(shared_data / name)
        questions = [q for q in dataset.questions["test"] if q.answers[0].lower() not in ("yes", "no")]
        assert sum(_answered(question, dataset) for question in questions) >= 0.9 * len(questions)


def test_upstream_records_agree_with_the_prepared_questions_of_the_same_id(shared_data):
    """The prepared sets were made by somebody else from the same records."""
    for name, sample in (
        ("hotpotqa", "original_sample.json"),
        ("musique", "original_sample.json"),
        ("strategyqa", "original_sample.json"),
    ):
        prepared = {}
        for line in (shared_data / name / "questions.jsonl").open():
            row = json.loads(line)
            prepared[row["id"]] = row
        corpus = shared_data / name / CORPUS
        questions = read_dataset(shared_data / name / sample, corpus).questions["test"]
        both = [question for question in questions if question.id in prepared]
        assert len(both) >= 40
        for question in both:
            row = prepared[question.id]
            assert " ".join(question.text.split()) == row["question"]
            assert set(question.answers) == set(row["golden_answers"])
            ids = [next(iter(hop)) for hop in question.evidence[0]]
            assert sorted(ids) == sorted(row["metadata"]["supporting_ids"])


def test_corpora_in_hipporag_form_and_search_r1_lines(shared_data):
    titled = read_any_corpus(shared_data / "hotpotqa" / "original_corpus_sample_hipporag.json")
    assert len(titled) == 50 and titled[0].title == "Demon Dice"
    assert titled[0].text.startswith("Demon Dice, originally published as Chaos Progenitus, is a collectible dice game")
    listed = read_any_corpus(shared_data / "2wikimultihopqa" / "original_corpus_sample_hipporag.json")
    assert len(listed) == 50 and listed[0].title == "Teutberga"
    lines = read_any_corpus(shared_data / "trajectories" / "searchr1_upstream_corpus_example.jsonl")
    assert (lines[0].id, lines[0].title) == ("0", "Evan Morris") and len(lines) == 10


def test_parquet_rows_and_gzip_read_as_jsonl_does(shared_data, tmp_path):
    pytest.importorskip("pyarrow")
    from pyarrow import Table, parquet

    source = shared_data / "bamboogle" / "original_sample_verl.jsonl"
    rows = [json.loads(line) for line in source.open()]
    for row in rows:
        row["reward_model"]["ground_truth"] = {"target": [row["reward_model"]["ground_truth"]]}
    parquet.write_table(Table.from_pylist(rows), tmp_path / "train.parquet")
    (tmp_path / "rows.gz").write_bytes(gzip.compress(source.read_bytes()))
    corpus = shared_data / "bamboogle" / CORPUS
    wanted = read_dataset(source, corpus).questions
    assert read_dataset(tmp_path / "train.parquet", corpus).questions == wanted
    assert read_dataset(tmp_path / "rows.gz", corpus).questions == wanted
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BerrypickError, match="cannot read"):
        read_dataset(tmp_path / "broken.parquet", corpus)


def test_search_r1_rows_without_the_question_field_are_read_from_their_prompt(tmp_path):
    row = {
        "data_source": "nq", "ability": "fact-reasoning",
        "prompt": [{"role": "user", "content": "Answer the given question. For example. Question: who built it?\n"}],
        "reward_model": {"style": "rule", "ground_truth": {"target": ["Ada", "A."]}},
        "extra_info": {"split": "train", "index": 4},
    }  # fmt: skip
    (tmp_path / "rows").write_text(json.dumps(row) + "\n")
    (tmp_path / "corpus").write_text('{"id": "a", "text": "x"}\n')
    question = read_dataset(tmp_path / "rows", tmp_path / "corpus").questions["train"][0]
    assert (question.id, question.text, question.answers) == ("nq-train-4", "who built it?", ("Ada", "A."))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[{"foo": 1}]', r"\[0\]: a record of no known question format \(fields foo\)"),
        ("[{}]", r"\[0\]: a record of no known question format \(it has no fields\)"),
        ('[{"context": [["t", ["s"]]], "supporting_facts": [["t", 0]], "answer": "a"}]', "HotpotQA .* cannot be read"),
        ('[{"context": 3, "supporting_facts": [], "answer": "a", "question": "q"}]', "cannot be read"),
        ('[{"id": "1", "paragraphs": [{}], "question_decomposition": [], "answer": "a", "question": "q"}]', "MuSiQue"),
        ('{"data_source": "x", "prompt": [], "reward_model": {"ground_truth": "a"}}', ":1: .*cannot be read"),
        ("[3]", r"\[0\]: no valid JSON object"),
        ("{oops\n", ":1: no valid JSON object"),
        ("", "contain no passages"),
    ],
)
def test_a_record_that_cannot_be_read_is_named(tmp_path, text, reason):
    path = tmp_path / "questions"
    path.write_text(text)
    with pytest.raises(QuestionError, match=reason):
        read_dataset(path)
    if text:
        skipped = []
        with pytest.raises(QuestionError):
            read_dataset(path, skipped=skipped)
        assert len(skipped) == 1


@pytest.mark.parametrize("text", ['{"t": [1]}\n{', '[{"title": "t"}]', "[]", "[3]"])
def test_a_corpus_that_cannot_be_read_is_named(tmp_path, text):
    (tmp_path / "corpus").write_text(text)
    with pytest.raises(CorpusError, match=str(tmp_path)):
        read_any_corpus(tmp_path / "corpus")


def test_an_upstream_file_plays_as_a_custom_environment(shared_data):
    env = gym.make(
        "berrypick/Custom-v0", questions=str(shared_data / "musique" / "original_sample_lines.jsonl"), reward="f1"
    )
    _, info = env.reset(seed=0)
    question = env.unwrapped.episode.question
    for title in question.metadata["supporting_titles"][:2]:
        *_, info = env.step(f"<search> {title} </search>")
    assert any(hit for path in info["hops_hit"] for hit in path)
    assert env.step(f"<answer> {question.answers[0]} </answer>")[1] == 1.0


def test_formats_do_not_shadow_each_other(shared_data):
    for name, recognised, *_ in SAMPLES:
        text = (shared_data / name).read_text()
        record = json.loads(text)[0] if text.startswith("[") else json.loads(text.splitlines()[0])
        assert next(known.name for known in FORMATS if known.recognise(record)) == recognised


def test_questions_alone_play_over_the_folder_of_an_index_and_know_no_evidence(tmp_path):
    from berrypick.envs.tasks.registry import make_task
    from berrypick.retrieval_index.corpus import Passage
    from berrypick.retrieval_index.store import ensure_index

    ensure_index([Passage("p", "Ada", "Ada programmed the engine.")], "bm25s", tmp_path / "index")
    row = {"id": "q", "question": "Who?", "golden_answers": ["Ada"], "metadata": {"supporting_ids": ["elsewhere"]}}
    (tmp_path / "questions.jsonl").write_text(json.dumps(row) + "\n")
    arguments = {"questions": str(tmp_path / "questions.jsonl"), "index": str(tmp_path / "index")}
    task = make_task("berrypick/Custom-v0", **arguments)
    assert task.split("test")[0].evidence == () and task.passages == ()
    assert task.searcher.search(["engine"], 1)[0][0].id == "p"
    (tmp_path / "nq").mkdir()
    shutil.copy(tmp_path / "questions.jsonl", tmp_path / "nq")
    assert make_task("berrypick/NQ-v0", data=str(tmp_path / "nq"), index=arguments["index"]).passages == ()
    with pytest.raises(QuestionError, match="contain no passages"):
        make_task("berrypick/Custom-v0", **arguments | {"index": "bm25s"})


def test_flashrags_truth_values_and_passages_are_read(tmp_path):
    context = {"title": ["A", "B"], "content": [["One.", "Two."], ["Three."]]}
    facts = {"title": ["B", "A", "A"], "sent_id": [0, 0, 1]}
    rows = [
        {"id": "1", "question": "a?", "golden_answers": [True], "metadata": {"context": context,
         "supporting_facts": facts, "type": "x", "gone": None}},
        {"id": "2", "question": "b?", "golden_answers": ["no"], "metadata": {"context": {"title": [], "content": []},
         "supporting_facts": {"title": ["lost"], "sent_id": [0]}}},
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset = read_dataset(tmp_path / "rows.jsonl")
    first, second = dataset.questions["test"]
    assert (first.answers, second.answers) == (("yes",), ("no",))
    assert first.metadata["supporting_titles"] == ["B", "A"] and first.metadata["type"] == "x"
    assert second.evidence == () and [p.text for p in sorted(dataset.passages, key=lambda p: p.title)] == [
        "One. Two.", "Three.",
    ]  # fmt: skip


def _hotpot(**changes):
    return {
        "_id": "h1", "question": "When was its maker born?", "answer": "1791", "type": "bridge", "level": "hard",
        "supporting_facts": [["Ada Lovelace", 0], ["Charles Babbage", 0]],
        "context": [["Ada Lovelace", ["Ada wrote a program.", " It ran."]], ["Zoo", ["Animals."]]],
    } | changes  # fmt: skip


def _columnar(**changes):
    record = _hotpot(**changes)
    facts, context = record["supporting_facts"], record["context"]
    return record | {
        "supporting_facts": {"title": [title for title, _ in facts], "sent_id": [at for _, at in facts]},
        "context": {"title": [title for title, _ in context], "sentences": [text for _, text in context]},
    }


def _musique(second):
    return {
        "id": "2hop__1", "question": "When was its maker born?", "answer": "1791", "paragraphs": [
            {"idx": 0, "title": "Ada Lovelace", "paragraph_text": "Ada wrote a program. It ran."},
            {"idx": 1, "title": "Zoo", "paragraph_text": "Animals."},
        ],
        "question_decomposition": [
            {"question": "a", "answer": "b", "paragraph_support_idx": 0},
            {"question": "c", "answer": "d", "paragraph_support_idx": second},
        ],
    }  # fmt: skip


def _flashrag():
    record = _columnar()
    metadata = {name: record[name] for name in ("supporting_facts", "context")}
    return {"id": "f", "question": "When?", "golden_answers": ["1791"], "metadata": metadata}


BABBAGE = {"id": "c1", "title": "Charles  Babbage", "text": "Babbage was born in 1791."}
OWN = [{"id": "c0", "title": "Ada Lovelace", "text": "Ada wrote a program. It ran."}, {"id": "c2", "text": "x"}]


@pytest.mark.parametrize(
    ("record", "corpus", "evidence"),
    [
        (_hotpot(), None, None),
        (_hotpot(), OWN, None),
        (_hotpot(), [*OWN, BABBAGE], ["c0", "c1"]),
        (_hotpot(), [*OWN, BABBAGE, BABBAGE | {"id": "c9", "text": "Another part."}], None),  # which of the two?
        (_columnar(), [*OWN, BABBAGE], ["c0", "c1"]),
        (_columnar(), None, None),
        (_flashrag(), [*OWN, BABBAGE], ["c0", "c1"]),
        (_flashrag(), OWN, None),
        (_musique(None), [*OWN, BABBAGE], None),
        (_musique(7), None, None),
        # the same title with a text of another edition: the record's own passage is found by its title, too
        (_hotpot(), [OWN[0] | {"text": "Ada, revised."}, BABBAGE], ["c0", "c1"]),
    ],
)
def test_a_part_of_the_evidence_is_never_all_of_it(tmp_path, capsys, record, corpus, evidence):
    (tmp_path / "q.json").write_text(json.dumps([record]))
    place = None
    if corpus is not None:
        place = tmp_path / "c.jsonl"
        place.write_text("".join(json.dumps(line) + "\n" for line in corpus))
    dataset = read_dataset(tmp_path / "q.json", place)
    (question,) = dataset.questions["test"]
    assert question.evidence == (() if evidence is None else (tuple(frozenset([key]) for key in evidence),))
    assert dataset.partial == (() if evidence else (f"{tmp_path / 'q.json'}[0]",))
    assert main(["data", "check", str(tmp_path / "q.json"), *(["--corpus", str(place)] if place else [])]) == 0
    assert ("evidence unknown: 1 record" in capsys.readouterr().out) is (evidence is None)
    key = read_answer_keys(tmp_path / "q.json")[question.id].key
    assert not key.evidence


def test_rewards_of_a_partial_record_see_both_hops_or_none(tmp_path, caplog):
    (tmp_path / "q.json").write_text(json.dumps([_hotpot()]))
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*OWN, BABBAGE]))
    rewards = {}
    for corpus in ("", str(tmp_path / "c.jsonl")):
        for reward in ("evidence_recall", "all_hops"):
            env = gym.make(
                "berrypick/Custom-v0", questions=str(tmp_path / "q.json"), corpus=corpus, split="test", reward=reward,
                top_k=1,
            )  # fmt: skip
            env.reset(seed=0)
            hops = env.step("<search> Ada wrote a program </search>")[4]["hops_hit"]
            rewards[bool(corpus), reward] = hops, env.step("<answer> 1791 </answer>")[1]
    assert rewards == {
        (False, "evidence_recall"): ([], 0.0), (False, "all_hops"): ([], 0.0),
        (True, "evidence_recall"): ([[True, False]], 0.5), (True, "all_hops"): ([[True, False]], 0.0),
    }  # fmt: skip
    assert caplog.text.count("1 record with a supporting passage") == 2


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_or_gzip_changes_no_list_and_no_corpus(tmp_path, monkeypatch, mark, zipped):
    def put(name, value):
        body = (mark + (value if isinstance(value, str) else json.dumps(value, indent=1))).encode()
        (tmp_path / name).write_bytes(gzip.compress(body) if zipped else body)
        return str(tmp_path / name)

    question = {"id": "q1", "question": "When was Babbage born?", "golden_answers": ["1791"]}
    passages = [{"title": "Ada", "text": "Ada wrote."}, {"title": "Babbage", "text": "Babbage was born in 1791."}]
    corpus = put("corpus.json", passages)
    for name, value in (
        ("list.json", [question]), ("lines.jsonl", json.dumps(question) + "\n"), ("hotpot.json", [_hotpot()]),
        ("musique.json", [_musique(1)]),
    ):  # fmt: skip
        path = put(name, value)
        place = None if name == "musique.json" else tmp_path / "corpus.json"
        assert sum(map(len, read_dataset(tmp_path / name, place).questions.values())) == 1
        assert len(read_answer_keys(tmp_path / name)) == 1
        assert main(["data", "check", path, *(["--corpus", corpus] if place else [])]) == 0
    env = gym.make("berrypick/Custom-v0", corpus=corpus, questions=put("q.jsonl", json.dumps(question)))
    assert len(env.unwrapped.task.passages) == 2
    titles = put("titles.json", {"Ada": ["Ada wrote."], "Babbage": ["He was", " born."]})
    assert [passage.title for passage in read_any_corpus(tmp_path / "titles.json")] == ["Ada", "Babbage"] and titles


def test_a_json_corpus_with_half_a_character_is_refused_or_left_out(tmp_path):
    (tmp_path / "c.json").write_text('[{"title": "T", "text": "a \\ud83d"}, {"title": "U", "text": "b"}]')
    with pytest.raises(CorpusError, match=r"c\.json\[0\]: the passage contains a lone surrogate"):
        read_any_corpus(tmp_path / "c.json")
    skipped = []
    assert len(read_any_corpus(tmp_path / "c.json", skipped=skipped)) == 1 and len(skipped) == 1


def test_questions_that_accept_an_answer_without_words_are_counted(tmp_path, capsys):
    lines = [{"id": key, "question": f"{key}?", "golden_answers": golds} for key, golds in (("a", ["A"]), ("b", ["x"]))]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["data", "check", str(tmp_path / "q.jsonl")]) == 0
    assert "answers without words: 1 question;" in capsys.readouterr().out


def test_a_key_of_answers_with_half_a_character_is_refused(tmp_path):
    (tmp_path / "key.jsonl").write_text(
        '{"id": 7, "golden_answers": ["x"]}\n{"id": "b", "golden_answers": ["\\ud83d"]}\n'
    )
    with pytest.raises(QuestionError, match=r"key\.jsonl:2: the line contains a lone surrogate"):
        read_answer_keys(tmp_path / "key.jsonl")
    (tmp_path / "key.jsonl").write_text('{"id": 7, "golden_answers": ["x"]}\n')
    assert list(read_answer_keys(tmp_path / "key.jsonl")) == ["7"]
