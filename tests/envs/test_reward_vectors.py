"""Vector rewards of candidates."""

from __future__ import annotations

import numpy as np
import pytest
from berrypick.envs.episode import Draft, advance, start
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.envs.recording import record_of
from berrypick.envs.reward_vectors import candidate_vectors, vector_names, vector_table
from berrypick.envs.tasks.registry import make_task
from berrypick.retrieval_index.searcher import Hit

PATHS = ((frozenset(["a"]), frozenset(["b"])), (frozenset(["a"]), frozenset(["c"])))
QUESTION = Question("q", "who?", ("Ada", "Bob"), PATHS, metadata={"answers_by_path": [["Ada"], ["Bob", "Robert"]]})
PLAIN = Question("p", "who?", ("Ada L",), (PATHS[0],))


class Finder:
    index_id = "finder"

    def search(self, queries, k):
        return [[Hit(query, "", query, 1.0)] for query in queries]

    def close(self):
        pass


def ended(question, answer, num_answers=2, searches="abc"):
    episode = start(question, EpisodeSpec(top_k=1, max_turns=9, search_budget=9, num_answers=num_answers))
    for query in searches:
        advance([episode], [Draft(f"<search>{query}</search>")], Finder())
    advance([episode], [Draft(answer)], Finder())
    return episode


def test_each_candidate_is_scored_by_what_it_cites_and_answers():
    episode = ended(QUESTION, "<answer>Ada [1][2]\nRobert [3]</answer>")
    assert vector_names(QUESTION) == (
        "path1/hop1", "path1/hop2", "path2/hop1", "path2/hop2", "path1/answer_f1", "path2/answer_f1",
    )  # fmt: skip
    assert candidate_vectors(episode) == [[1, 1, 1, 0, 1, 0], [0, 0, 0, 1, 0, 1]]


def test_shown_but_uncited_absent_and_too_many_citations_count_nothing():
    assert candidate_vectors(ended(QUESTION, "<answer>x</answer>"))[0] == [0] * 6
    assert candidate_vectors(ended(QUESTION, "<answer>x [0][4][99]</answer>"))[0] == [0] * 6
    greedy = ended(QUESTION, "<answer>x [1][2][3][4][5]</answer>", searches="zzzzb")
    assert candidate_vectors(greedy)[0][:4] == [0, 0, 0, 0], "the fifth distinct citation is one too many"


def test_rows_are_padded_and_lines_beyond_the_wanted_number_earn_nothing():
    assert candidate_vectors(ended(PLAIN, "<answer>Ada [1]</answer>")) == [[1, 0, pytest.approx(2 / 3)], [0, 0, 0]]
    many = ended(PLAIN, "<answer>x\ny\nAda L</answer>")
    assert candidate_vectors(many) == [[0, 0, 0], [0, 0, 0]]
    assert candidate_vectors(ended(PLAIN, "nothing", searches="")) == [[0, 0, 0], [0, 0, 0]]


def test_a_table_fills_dimensions_a_question_lacks_with_one_for_candidates_that_are_there():
    names, table = vector_table([ended(QUESTION, "<answer>Ada [1]</answer>"), ended(PLAIN, "<answer>Ada L</answer>")])
    assert table.shape == (2, 2, 7) and names[-1] == "answer_f1"
    assert table[0, 0].tolist() == [1, 0, 1, 0, 1, 0, 1] and table[0, 1].tolist() == [0] * 7
    assert table[1, 0].tolist() == [0, 0, 1, 1, 1, 1, 1]
    assert vector_table([])[1].shape == (0, 0, 0)


def test_the_record_keeps_the_vectors_where_several_answers_are_asked():
    record = record_of(ended(QUESTION, "<answer>Ada [1][2]\nBob [3]</answer>"), sample_index=0, seed=0)
    assert record.reward_vectors == [[1, 1, 1, 0, 1, 0], [0, 0, 0, 1, 0, 1]] and len(record.reward_names) == 6
    assert record_of(ended(PLAIN, "<answer>x</answer>", 1), sample_index=0, seed=0).reward_vectors is None


def test_answer_recall_pays_for_each_of_several_answers_and_stops_at_the_wanted_number():
    def reward(answer, question=QUESTION, num_answers=2):
        episode = start(question, EpisodeSpec(max_turns=9, num_answers=num_answers, reward="answer_recall"))
        return advance([episode], [Draft(answer)], Finder())[0].reward

    assert reward("<answer>Ada\nRobert</answer>") == 1 and reward("<answer>Ada\nAda</answer>") == 0.5
    assert reward("<answer>x\ny\nAda</answer>") == 0 and reward("<answer>Ada L</answer>", PLAIN) == 1
    assert reward("<answer>Ada\nBob</answer>", num_answers=1) == 0.5


def test_candidates_of_the_world_with_several_answers_differ_by_path():
    task = make_task(
        "berrypick/World-v0", num_answers=2, availability="1,1", hops=1, num_train=8, num_test=1, reward="answer_recall"
    )
    question = task.split("train")[0]
    world = question.metadata["world"]
    episode = start(question, task.spec)
    for kind in world["kinds"]:
        advance(
            [episode], [Draft(f"<search>{kind} {world['relations'][0]} {world['entities'][0]}</search>")], task.searcher
        )
    order = [next(i for i, path in enumerate(question.evidence) if hit.id in path[0]) for hit in episode.hits]
    lines = "\n".join(f"{question.answers[path]} [{n}]" for n, path in enumerate(order, 1))
    result = advance([episode], [Draft(f"<answer>{lines}</answer>")], task.searcher)[0]
    rows = np.array(candidate_vectors(episode))
    assert result.reward == 1 and rows.sum() == 4 and (rows[0] * rows[1]).sum() == 0


def test_four_citations_count_and_as_many_as_the_longest_path_has_hops():
    fourth = ended(QUESTION, "<answer>x [1][2][2][3][4]</answer>", searches="zzzb")
    assert candidate_vectors(fourth)[0][:4] == [0, 1, 0, 0]
    deep = Question("d", "who?", ("x",), (tuple(frozenset([letter]) for letter in "abcde"), (frozenset(["f"]),)))
    cited = ended(deep, "<answer>x [1][2][3][4][5][6]</answer>", num_answers=1, searches="abcdef")
    assert candidate_vectors(cited) == [[1, 1, 1, 1, 1, 0, 1]]
