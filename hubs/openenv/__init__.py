"""berrypick's environments for OpenEnv: the client, and what it sends and gets."""

from .client import BerrypickSearchEnv
from .models import SearchAction, SearchObservation, SearchState

__all__ = ["BerrypickSearchEnv", "SearchAction", "SearchObservation", "SearchState"]
