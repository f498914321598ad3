"""Dedup: of questions that are equal, or much alike, wherever in the tree, the first in rank stays; a leaf that lost
some goes on with its list.

Rank order (see `TransformStage`) is what makes growth gentle: what a leaf gained last gives way first. A question is
compared with those that stay alone, so that a chain of small steps drops no more than it has to: and so questions that
come behind change no verdict. Equal is up to case, width and punctuation.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, ClassVar

import msgspec

from distill_build.dataset.unit import Place, Verdict
from distill_build.prompting.known import ANYTHING, Known
from distill_build.records import JsonObject
from distill_build.replies.labels import normalise
from distill_build.settings import StageSettings
from distill_build.stages.embedders import VECTOR, embeddings_before, goes_by_meaning
from distill_build.stages.kinds.transform_stage import JudgeScope, TransformStage
from distill_build.stages.likeness.repeats import SAME_AS, Likeness, Near, Repeat, least_likeness

LIKENESS = "likeness"
"""The column that says how much alike the two are: 1 of equal ones."""
EQUAL = "the same question as an earlier one"
ALIKE = "much like an earlier one"


Rounds = Annotated[int, msgspec.Meta(ge=0, le=100)]


class DedupSettings(StageSettings, frozen=True, kw_only=True):
    """`near` is the likeness from which two questions count as the same, null: only equal ones do. `likeness` says of
    what it is. `refill` are the rounds in which a leaf that lost questions goes on with its list."""

    near: Near = "auto"
    likeness: Likeness = "words"
    refill: Rounds = 2


class Builtin(TransformStage):
    settings_type = DedupSettings
    settings: DedupSettings
    scope: ClassVar[JudgeScope] = "dataset"
    reads = frozenset({"question"})
    usual = Verdict(kept=True, columns={SAME_AS: None, LIKENESS: None})
    followers: ClassVar[Mapping[str, str]] = {
        "dedup.near": "near",
        "dedup.by": "likeness",
        "dedup.refill": "refill",
    }

    @property
    def refill(self) -> int:
        return self.settings.refill

    @cached_property
    def found(self) -> dict[bytes, Mapping[int, Repeat]]:
        """What came of comparisons, by a digest of the texts: of as many as one walk makes, the last ones."""
        return {}

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:
        return super().columns(own, above) | {SAME_AS: ANYTHING, LIKENESS: ANYTHING}

    @property
    def _by_meaning(self) -> bool:
        return goes_by_meaning(self.settings.likeness, self.settings.near)

    @cached_property
    def _embeddings(self) -> str | None:
        """The stage whose vectors it goes by; None for the packed model, and where meaning has no say."""
        return embeddings_before(self.name, self.build) if self._by_meaning else None

    @property
    def refers_to(self) -> frozenset[str]:
        return frozenset({self._embeddings} if self._embeddings is not None else ())

    def identity(self) -> JsonObject:
        """Another model judges anew. Raises ConfigurationError where there is none."""
        own = super().identity()
        if not self._by_meaning:
            return own
        from distill_build.stages.likeness.meaning import model_digest, require_extra

        if self._embeddings is None:
            return own | {"embedder": model_digest()}
        require_extra()
        return own

    def measure(self, place: Place, row: JsonObject, others: JsonObject) -> Any:  # noqa: ARG002 - the text alone
        """The text as it is compared, and its vector where there is one."""
        vectors = others[self._embeddings] if self._embeddings is not None else []
        return normalise(row["question"]), next((each[VECTOR] for each in vectors), None)

    def verdicts(self, measured: Sequence[tuple[str, Any]]) -> Iterator[Verdict]:
        """Holds each text once."""
        first: dict[str, str] = {}
        vectors: list[Any] = []
        for key, (text, vector) in measured:
            if first.setdefault(text, key) == key:
                vectors.append(vector)
        keys = list(first.values())
        repeats = {keys[place]: repeat for place, repeat in self._repeats(list(first), vectors).items()}
        for key, (text, _) in measured:
            if (repeat := repeats.get(first[text])) is not None:
                yield _dropped(ALIKE, keys[repeat.of], repeat.likeness)
            elif first[text] != key:
                yield _dropped(EQUAL, first[text], 1.0)
            else:
                yield self.usual

    def _repeats(self, texts: Sequence[str], vectors: Sequence[Any]) -> Mapping[int, Repeat]:
        """The places of texts that nearly repeat an earlier one; `vectors` are theirs, where there are any.

        A build mostly has those that its plan had, round by round.
        """
        if self.settings.near is None:
            return {}
        compared = sha256()
        for text, vector in zip(texts, vectors, strict=True):
            compared.update(f"{len(text)}:{text}{vector}".encode(errors="surrogatepass"))
        key = compared.digest()
        if key not in self.found:
            if len(self.found) > self.refill:
                del self.found[next(iter(self.found))]
            self.found[key] = self._worked_out(texts, vectors)
        return self.found[key]

    def _worked_out(self, texts: Sequence[str], vectors: Sequence[Any]) -> dict[int, Repeat]:
        assert self.settings.near is not None, "nothing is compared then"  # noqa: S101
        least = least_likeness(self.settings.near, self.settings.likeness)
        if self._embeddings is not None:
            from distill_build.stages.likeness.meaning import repeats_by_vector

            return repeats_by_vector(vectors, least)
        if self._by_meaning:
            from distill_build.stages.likeness.meaning import repeats_by_meaning

            return repeats_by_meaning(texts, least)
        from distill_build.stages.likeness.words import repeats_by_words

        return repeats_by_words(texts, least)


def _dropped(why: str, same_as: str, likeness: float) -> Verdict:
    return Verdict(kept=False, why=(why,), columns={SAME_AS: same_as, LIKENESS: likeness})
