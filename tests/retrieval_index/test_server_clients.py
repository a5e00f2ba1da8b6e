"""SkyRL-Gym's own search environment against our server, where that package is installed."""

from __future__ import annotations

from typing import Any

import pytest
from berrypick.retrieval_index.bm25s_index import Bm25sSearcher
from berrypick.retrieval_index.corpus import Passage


def test_skyrl_gyms_search_env_reads_our_passages(serve: Any, corpus: list[Passage]) -> None:
    pytest.importorskip("skyrl_gym")
    from omegaconf import OmegaConf
    from skyrl_gym.envs.search.env import SearchEnv

    url = serve(Bm25sSearcher.from_passages(corpus)) + "/retrieve"
    config = OmegaConf.create({"search_url": url, "topk": 2, "timeout": 30, "log_requests": False})
    env = SearchEnv(config, extras={"reward_spec": {"ground_truth": {"target": ["hill"]}}, "max_turns": 3})
    env.init([{"role": "user", "content": "where do berries grow"}])
    out = env.step("<search>ripe berries grow</search>")
    (message,) = out["observations"]
    assert "Doc 1: " in message["content"] and "ripe berries grow on the hill" in message["content"]
    assert not out["done"]
    assert env.step("<answer>hill</answer>")["reward"] == 1.0
