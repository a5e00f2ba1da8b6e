"""The server: `uvicorn server.app:app` in this folder, or the command `server` once the package is installed.

BERRYPICK_ENV names the environment and BERRYPICK_ENV_ARGS holds its arguments as JSON, such as {"preset": "priced"}.
"""

import argparse
import json
import os

import uvicorn
from berrypick.envs.adapters.openenv import create_search_app

__all__ = ["app", "main"]

app = create_search_app(
    os.environ.get("BERRYPICK_ENV", "berrypick/World-v0"), **json.loads(os.environ.get("BERRYPICK_ENV_ARGS", "{}"))
)


def main() -> None:
    """Serves the environment. The default address can be reached only from this machine."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    flags = parser.parse_args()
    uvicorn.run(app, host=flags.host, port=flags.port)


if __name__ == "__main__":
    main()
