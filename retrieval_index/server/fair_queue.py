"""Which waiting queries the next search takes: large requests in pieces, small ones beside them."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..searcher import Hit

__all__ = ["FairQueue", "Piece", "Waiting", "cost"]

Hits = list[list[Hit]]
_CHARS_OF_A_HIT = 16  # reading and sending a hit takes about as long as searching so many characters


def cost(query: str, k: int) -> int:
    """What a query costs, in characters: its length, and a constant for each hit."""
    return len(query) + _CHARS_OF_A_HIT * k


@dataclass(eq=False, slots=True)
class Waiting:
    """A request whose queries wait.

    Attributes:
        queries: all its queries.
        k: hits per query.
        arrived: seconds on the monotonic clock.
        done: gets the hits of all queries, or the error of one.
        taken: number of queries that searches have taken; the others wait.
        hits: hits of the first queries, as far as they are found.
        is_large: whether it waits in the line of the large ones.
    """

    queries: Sequence[str]
    k: int
    arrived: float
    done: asyncio.Future[Hits]
    taken: int = 0
    hits: Hits = field(default_factory=list)
    is_large: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """Queries of one request that are searched together."""

    request: Waiting
    queries: Sequence[str]


class FairQueue:
    """Requests in two lines.

    A request that costs at most half a search is small. It waits in order of arrival, and is never split. The large
    requests take turns, with one piece in a search. If both kinds wait, the piece takes half the search, and small
    requests take the rest. So a small request waits only for the search that runs and for small requests before it,
    however many large ones wait.

    Attributes:
        small_at: when the last small request came, on the monotonic clock.
    """

    def __init__(self, max_queries: int, max_cost: int) -> None:
        """Limits of one search: number of queries, and cost. A single query may cost more."""
        self._max_queries, self._max_cost = max_queries, max_cost
        self._small: OrderedDict[Waiting, int] = OrderedDict()  # request -> cost
        self._large: OrderedDict[Waiting, None] = OrderedDict()
        self._num_queries = self._num_large = 0  # queries that wait: all, and those of large requests
        self.small_at = -math.inf

    def __bool__(self) -> bool:
        return bool(self._small or self._large)

    @property
    def num_queries(self) -> int:
        """Number of queries that no search has taken."""
        return self._num_queries

    @property
    def oldest(self) -> float:
        """When the first request of either line arrived."""
        return min(next(iter(line)).arrived for line in (self._small, self._large) if line)

    def add(self, request: Waiting, most: int) -> bool:
        """A new request, with at least one query; False and not added if too many wait already.

        At most `most` queries wait. Those of large requests fill at most half of these places, unless one has to
        fill more alone, so that there are places for small ones.
        """
        count = len(request.queries)
        total = sum(cost(query, request.k) for query in request.queries)
        is_small = 2 * total <= self._max_cost and 2 * count <= self._max_queries
        if self._num_queries + count > most:
            return False
        if is_small:
            self._small[request] = total
            self.small_at = request.arrived
        elif self._num_large and 2 * (self._num_large + count) > most:
            return False
        else:
            self._large[request] = None
            request.is_large = True
            self._num_large += count
        self._num_queries += count
        return True

    def discard(self, request: Waiting) -> None:
        """Drops what still waits of a request, if anything does."""
        count = len(request.queries) - request.taken
        if request in self._small:
            del self._small[request]
        elif request in self._large:
            del self._large[request]
            self._num_large -= count
        else:
            return
        self._num_queries -= count

    def take(self, large: bool = True) -> list[Piece]:
        """The pieces of the next search, without those of large requests on demand; [] if none waits."""
        pieces = []
        queries = spent = 0
        if self._large and large:
            piece, spent = self._turn(2 if self._small else 1)
            pieces.append(piece)
            queries = len(piece.queries)
        first = True
        while self._small:
            request, total = next(iter(self._small.items()))
            queries, spent = queries + len(request.queries), spent + total
            if not first and (queries > self._max_queries or spent > self._max_cost):
                break
            first = False
            self.discard(request)
            request.taken = len(request.queries)
            pieces.append(Piece(request, request.queries))
        return pieces

    def _turn(self, share: int) -> tuple[Piece, int]:
        """The next piece of the large request whose turn it is, at most 1 / `share` of a search, and its cost."""
        request = next(iter(self._large))
        begin = end = request.taken
        spent = 0
        while end < len(request.queries) and share * (end - begin) < self._max_queries:
            price = cost(request.queries[end], request.k)
            if end > begin and share * (spent + price) > self._max_cost:
                break
            spent, end = spent + price, end + 1
        request.taken = end
        self._num_queries -= end - begin
        self._num_large -= end - begin
        if end == len(request.queries):
            del self._large[request]
        else:
            self._large.move_to_end(request)
        return Piece(request, request.queries[begin:end]), spent
