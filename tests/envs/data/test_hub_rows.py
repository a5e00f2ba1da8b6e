"""`berrypick data get` through the real `datasets` library, over a local copy of each repository's layout."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from berrypick.__main__ import main
from berrypick.envs.data.downloads import SOURCES, check_download
from berrypick.envs.tasks.registry import make_task
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.machine import patience

datasets = pytest.importorskip("datasets")

FLASHRAG = {
    "2wikimultihopqa": ("train", "dev"), "bamboogle": ("test",), "strategyqa": ("train",),
    "nq": ("train", "dev", "test"), "triviaqa": ("train", "dev", "test"), "popqa": ("test",),
}  # fmt: skip
ENV_IDS = {
    "hotpotqa": "HotpotQA", "2wikimultihopqa": "2WikiMultiHopQA", "musique": "MuSiQue", "bamboogle": "Bamboogle",
    "strategyqa": "StrategyQA", "nq": "NQ", "triviaqa": "TriviaQA", "popqa": "PopQA",
}  # fmt: skip
PASSAGES = {"Ada": ["Ada programmed the engine.", " It was Babbage's."], "Babbage": ["Babbage was born in 1791."]}


def flashrag_row(name, split, number):
    """Rows as the repository holds them: passages in the metadata of 2WikiMultiHopQA, truth values in StrategyQA."""
    answers = [number % 2 == 0] if name == "strategyqa" else ["1791", "in 1791"]
    metadata = {}
    if name == "2wikimultihopqa":
        metadata = {
            "type": "compositional",
            "supporting_facts": {"title": list(PASSAGES), "sent_id": [1, 0]},
            "evidences": {"fact": ["x"], "relation": ["y"], "entity": ["z"]},
            "context": {"title": [*PASSAGES, f"Other {split} {number}"], "content": [*PASSAGES.values(), ["Else."]]},
        }
    if name == "popqa":
        metadata = {"subj": "Ada", "prop": "birth", "s_pop": 7, "obj_id": None}
    return {"id": f"{split}_{number}", "question": f"Which year, {name} {split} {number}?", "golden_answers": answers,
            "metadata": metadata}  # fmt: skip


def hotpot_row(split, number):
    return {
        "id": f"{split}{number}", "question": f"Which year {split} {number}?", "answer": "1791", "type": "bridge",
        "level": "easy", "supporting_facts": {"title": ["Ada", "Ada", "Babbage"], "sent_id": [0, 1, 0]},
        "context": {"title": list(PASSAGES), "sentences": list(PASSAGES.values())},
    }  # fmt: skip


def musique_row(split, number):
    paragraphs = [
        {"idx": index, "title": title, "paragraph_text": "".join(sentences), "is_supporting": True}
        for index, (title, sentences) in enumerate(PASSAGES.items())
    ]
    steps = [
        {"id": index, "question": f"step {index}", "answer": "x", "paragraph_support_idx": index} for index in (0, 1)
    ]
    return {"id": f"2hop__{split}_{number}", "paragraphs": paragraphs, "question": f"Which year, {split} {number}?",
            "question_decomposition": steps, "answer": "1791", "answer_aliases": [], "answerable": True}  # fmt: skip


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A folder that holds the repositories by name: the library reads a relative path before it asks the hub."""
    import pyarrow
    from pyarrow import parquet

    root = tmp_path_factory.mktemp("hub")
    flashrag, hotpot = root / "RUC-NLPIR" / "FlashRAG_datasets", root / "hotpotqa" / "hotpot_qa" / "distractor"
    cards = ["---", "configs:"]
    for name, splits in FLASHRAG.items():
        cards += [f"- config_name: {name}", "  data_files:"]
        for split in splits:
            write_lines(flashrag / name / f"{split}.jsonl", [flashrag_row(name, split, n) for n in range(4)])
            cards += [f"  - split: {split}", f"    path: {name}/{split}.jsonl"]
    (flashrag / "README.md").write_text("\n".join([*cards, "---", ""]))
    hotpot.mkdir(parents=True)
    for split in ("train", "validation"):
        table = pyarrow.Table.from_pylist([hotpot_row(split, n) for n in range(4)])
        parquet.write_table(table, hotpot / f"{split}-00000-of-00001.parquet")
    (hotpot.parent / "README.md").write_text(
        "---\nconfigs:\n- config_name: distractor\n  data_files:\n  - split: train\n    path: distractor/train-*\n"
        "  - split: validation\n    path: distractor/validation-*\n---\n"
    )
    musique = root / "dgslibisey" / "MuSiQue"
    for split, file in (("train", "train"), ("validation", "dev")):
        write_lines(musique / f"musique_ans_v1.0_{file}.jsonl", [musique_row(split, n) for n in range(4)])
    return root


@pytest.fixture(autouse=True)
def folders(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("BERRYPICK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BERRYPICK_DATA", raising=False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "arrow")
    monkeypatch.chdir(hub)
    datasets.disable_progress_bars()
    return tmp_path


@pytest.mark.parametrize("name", SOURCES)
def test_a_set_becomes_an_environment(name, folders, capsys):
    assert main(["data", "get", name]) == 0
    out = capsys.readouterr()
    folder = folders / "cache" / "data" / name
    assert out.out == f"{folder}\n"
    check_download(folder)
    source, manifest = SOURCES[name], json.loads((folder / "manifest.json").read_text())
    assert manifest["questions"] == dict.fromkeys(source.splits, 4)
    assert manifest["source"] == source.repository
    assert ((folder / "corpus.jsonl.gz").exists(), manifest["passages"] > 0) == (source.carries_passages,) * 2
    env_id = f"berrypick/{ENV_IDS[name]}-v0"
    if not source.carries_passages:
        assert "has questions only" in out.err
        with pytest.raises(BerrypickError, match=r"no corpus.* or give index="):
            make_task(env_id)
        write_lines(folder / "corpus.jsonl", [{"id": "a", "title": "Ada", "text": "Ada was born in 1815."}])
    task = make_task(env_id)
    assert {split: len(questions) for split, questions in task.questions.items()} == dict.fromkeys(source.splits, 4)
    question = task.split(source.splits[0])[0]
    assert question.answers[0] == ("yes" if name == "strategyqa" else "1791")
    if source.carries_passages:
        texts = {passage.id: (passage.title, passage.text) for passage in task.passages}
        ((first, second),) = question.evidence
        assert [texts[key] for hop in (first, second) for key in hop] == [
            ("Ada", "Ada programmed the engine. It was Babbage's."), ("Babbage", "Babbage was born in 1791."),
        ]  # fmt: skip
        assert "context" not in question.metadata
        assert task.searcher.search(["Babbage born"], 1)[0][0].title == "Babbage"


def test_a_repository_with_a_split_less_says_so_in_one_line(hub, folders, capsys, monkeypatch, tmp_path):
    write_lines(tmp_path / "dgslibisey" / "MuSiQue" / "train.jsonl", [musique_row("train", 0)])
    monkeypatch.chdir(tmp_path)
    assert main(["data", "get", "musique"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "validation" in error and "BERRYPICK_DATA" in error
    assert list((folders / "cache" / "data").iterdir()) == []


def test_without_a_network_the_real_library_gives_one_line(tmp_path, monkeypatch, capsys):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # where nothing listens
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.chdir(tmp_path)
    assert main(["data", "get", "nq"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1, said.err
    assert "refused" in said.err and "check the network" in said.err


class HubHandler(BaseHTTPRequestHandler):
    """What the library asks of a hub: a repository's revision, its folders, its files."""

    protocol_version = "HTTP/1.1"
    root: Path

    def reply(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def entry(self, path, base):
        kind = "file" if path.is_file() else "directory"
        size = path.stat().st_size if path.is_file() else 0
        return {"type": kind, "oid": "b" * 40, "size": size, "path": str(path.relative_to(base))}

    def answer(self):
        asked = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        _, api, repository, verb, rest = re.fullmatch(
            r"(/(api/)?datasets/([^/]+/[^/]+)(?:/(resolve|tree|paths-info|revision)/[^/]+)?)/?(.*)", path
        ).groups()
        base = self.root / repository
        place = base / rest
        if not place.exists():
            self.reply(b"{}", 404, X_Error_Code="EntryNotFound", X_Repo_Commit="a" * 40)
        elif verb == "resolve":
            digest = hashlib.sha1(place.read_bytes()).hexdigest()
            self.reply(place.read_bytes(), ETag=f'"{digest}"', X_Repo_Commit="a" * 40)
        elif verb == "tree":
            self.reply(json.dumps([self.entry(path, base) for path in sorted(place.iterdir())]).encode())
        elif verb == "paths-info":
            wanted = [base / name for name in parse_qs(asked.decode()).get("paths", [])] or [
                base / name for name in json.loads(asked)["paths"]
            ]
            self.reply(json.dumps([self.entry(path, base) for path in wanted if path.exists()]).encode())
        else:
            assert api
            self.reply(json.dumps({"id": repository, "sha": "a" * 40, "private": False, "siblings": []}).encode())

    do_GET = do_HEAD = do_POST = answer

    def log_message(self, *_):
        pass


def get_in_a_process(name, address, folder):
    """The command with the hub at another address, which the library reads on import."""
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_OFFLINE")}
    environment |= {"HF_ENDPOINT": address, "HF_HOME": str(folder), "BERRYPICK_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "berrypick", "data", "get", name]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=patience(120), check=False
    )


@pytest.mark.slow
def test_over_http_the_real_library_downloads_a_set_that_plays(hub, tmp_path, monkeypatch):
    handler = type("Handler", (HubHandler,), {"root": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = get_in_a_process("2wikimultihopqa", f"http://127.0.0.1:{server.server_port}", tmp_path)
        server.shutdown()
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("BERRYPICK_CACHE", str(tmp_path / "cache"))
    assert {len(questions) for questions in make_task("berrypick/2WikiMultiHopQA-v0").questions.values()} == {4}
