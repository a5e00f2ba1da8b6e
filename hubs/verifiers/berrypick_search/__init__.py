"""berrypick's questions as a taskset of verifiers, and the environment that answers a searching agent.

`vf-eval berrypick-search` finds the two classes here. They are berrypick's own, so that this package needs no release
when they change.
"""

from typing import Any

from berrypick.envs.adapters.verifiers import BerrypickEnv, BerrypickEnvConfig, BerrypickTaskset, BerrypickTasksetConfig

__all__ = ["BerrypickEnv", "BerrypickTaskset", "load_environment"]


def load_environment(**taskset: Any) -> BerrypickEnv:
    """The environment, for code that loads it without the command line.

    Args:
        taskset: env_id, arguments, split and num_questions; see `BerrypickTasksetConfig`.
    """
    return BerrypickEnv(BerrypickEnvConfig(taskset=BerrypickTasksetConfig(id="berrypick-search", **taskset)))
