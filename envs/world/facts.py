"""What a World question's metadata holds, typed. The only file that reads or writes `metadata["world"]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ...retrieval_index.errors import BerrypickError
from ..questions import answers_by_path

__all__ = ["HasMetadata", "WorldFacts"]


class HasMetadata(Protocol):
    """A question with metadata: a `Question`, or the `QuestionRecord` of a rollout."""

    @property
    def id(self) -> str:
        """The question's id, for error messages."""
        ...

    @property
    def metadata(self) -> Mapping[str, Any]:
        """JSON-able facts about the question."""
        ...


@dataclass(frozen=True, slots=True)
class WorldFacts:
    """The planted facts behind one World question.

    Attributes:
        kinds: words of the record kinds in use, K of them.
        hops: length of the fact chain, H.
        budget: searches the world grants an episode.
        present: [hop] -> indices of the kinds whose record states the fact of that hop.
        passages: [hop][kind] -> id of the record, present or void.
        availability: [kind] -> probability that a record of this kind states a fact; () in records that omit it.
        entities: names along the chain, H + 1 of them, first hop first; with aliases "name/alias".
        relations: [hop] -> relation word.
        preset: name of the world's preset.
        cue: index of the kind that the question hints at; None in a world without cues.
        query_formats: shares of the planted query formats; () where there is only one.
        format_failures: probability that a record fails each query format; () where no format fails.
        answers_by_path: accepted aliases of each of several conflicting answers; () where there is one answer.
    """

    kinds: tuple[str, ...]
    hops: int
    budget: int
    present: tuple[frozenset[int], ...]
    passages: tuple[tuple[str, ...], ...]
    availability: tuple[float, ...] = ()
    entities: tuple[str, ...] = ()
    relations: tuple[str, ...] = ()
    preset: str = ""
    cue: int | None = None
    query_formats: tuple[float, ...] = ()
    format_failures: tuple[float, ...] = ()
    answers_by_path: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, question: HasMetadata) -> WorldFacts | None:
        """The facts of a question; None for a question of another environment.

        Raises:
            BerrypickError: the metadata is damaged.
        """
        return cls.of_metadata(question.metadata, question_id=question.id)

    @classmethod
    def required(cls, question: HasMetadata, user: str) -> WorldFacts:
        """The facts of a question that must be of the World; `user` names what needs them in the error message.

        Raises:
            BerrypickError: the question is not of the World, or its metadata is damaged.
        """
        facts = cls.of(question)
        if facts is None:
            raise BerrypickError(f"{user} needs World questions; use a split of berrypick/World-v0")
        return facts

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, Any], *, question_id: str = "") -> WorldFacts | None:
        """The facts in a question's metadata; None where the metadata has no World object.

        Args:
            metadata: of a `Question`, or of a question in a rollouts file.
            question_id: named in the error message.

        Raises:
            BerrypickError: the World object lacks a field, or a field has the wrong type or shape.
        """
        world = metadata.get("world")
        if not isinstance(world, Mapping) or not world:
            return None
        try:
            facts = cls(
                kinds=_texts(world["kinds"]),
                hops=world["hops"],
                budget=world["budget"],
                present=tuple(frozenset(kinds) for kinds in world["present"]),
                passages=tuple(_texts(row) for row in world["passages"]),
                availability=tuple(world.get("availability", ())),
                entities=_texts(world.get("entities", ())),
                relations=_texts(world.get("relations", ())),
                preset=world.get("preset", ""),
                cue=world.get("cue"),
                query_formats=tuple(world.get("query_formats", ())),
                format_failures=tuple(world.get("format_failures", ())),
                answers_by_path=answers_by_path(metadata),
            )
            fault = facts._fault()
        except KeyError as error:
            fault = f"no field {error}"
        except (TypeError, ValueError) as error:
            fault = str(error)
        if fault:
            of_question = f" of question {question_id}" if question_id else ""
            raise BerrypickError(
                f"the World metadata{of_question} is damaged: {fault}; play the question again with berrypick/World-v0"
            )
        return facts

    def _fault(self) -> str | None:
        """What is wrong with the values; None if they fit each other."""
        hops, num_kinds = self.hops, len(self.kinds)
        named = frozenset[int]().union(*self.present)
        if not {type(value) for value in (hops, self.budget, *named)} <= {int}:
            return "hops, budget and the kinds of present must be whole numbers"
        if not len(self.present) == len(self.passages) == hops:
            return f"present and passages must have {hops} hops"
        if not named <= set(range(num_kinds)):
            return f"present names a kind beyond {num_kinds}"
        if {len(row) for row in self.passages} - {num_kinds}:
            return f"a hop must have {num_kinds} passages"
        if len(self.availability) not in (0, num_kinds):
            return f"availability must have {num_kinds} numbers"
        if len(self.relations) not in (0, hops):
            return f"relations must have {hops} words"
        if len(self.entities) not in (0, hops + 1):
            return f"entities must have {hops + 1} names"
        if self.cue is not None and self.cue not in range(num_kinds):
            return "cue must be the index of a kind"
        return None

    @property
    def num_answers(self) -> int:
        """Conflicting answers of the question; 1 in an ordinary world."""
        return max(1, len(self.answers_by_path))

    def as_metadata(self) -> dict[str, Any]:
        """The metadata of the question, JSON-able; `of_metadata` reads it back."""
        world: dict[str, Any] = {
            "preset": self.preset,
            "kinds": list(self.kinds),
            "availability": list(self.availability),
            "budget": self.budget,
            "hops": self.hops,
            "entities": list(self.entities),
            "relations": list(self.relations),
            "present": [sorted(kinds) for kinds in self.present],
            "passages": [list(row) for row in self.passages],
        }
        if self.cue is not None:
            world["cue"] = self.cue
        if self.query_formats:
            world["query_formats"] = list(self.query_formats)
        if self.format_failures:
            world["format_failures"] = list(self.format_failures)
        metadata: dict[str, Any] = {"dataset": "world", "hops": self.hops, "world": world}
        if self.answers_by_path:
            metadata["answers_by_path"] = [list(aliases) for aliases in self.answers_by_path]
        return metadata


def _texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, str) or not set(map(type, values)) <= {str}:
        raise TypeError(f"{values!r} must be a list of texts")
    return tuple(values)
