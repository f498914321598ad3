"""What a walk is given: who estimates what cannot be known yet, and who takes the rows that units come to."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from distill_build.builds.walk.nodes import Node, Unit
from distill_build.dataset.layout import ReviewNote
from distill_build.dataset.outcome import Outcome, Rows
from distill_build.records import JsonObject
from distill_build.stages.chain import Chain
from distill_build.stages.course import Segment
from distill_build.stages.kinds.base import ModelStage
from distill_build.stages.kinds.group_stage import GroupStage
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.kinds.map_stage import MapStage


class Estimator(Protocol):
    """Told what cannot be known before a request is answered; a plan estimates it."""

    def list_unknown(self, stage: ListStage, node: Node, chain: Chain) -> None:
        """`chain` of `node` ends here, short of `chain.missing` items, since its next request is not answered."""

    def undecided(self, stage: ModelStage | GroupStage, row: str) -> None:
        """Nothing of `stage` can be made of a row yet, since what decides on the row is not there."""

    def refill_unknown(self, stage: ListStage, node: Node, missing: int) -> None:
        """A list may go on for so many items that were dropped, or for more, when what is not there is."""

    def below_unknown(self, stage: MapStage, row: str, number: int) -> None:
        """A result is to be asked for, the one of that `number`; what is made from it cannot be yet."""


class Sink(Protocol):
    """Takes what units come to, in any order, and gives it back."""

    def recall(self, unit: Unit, segment: int, verdicts: str) -> Outcome | None:
        """What the last build made of a segment, where nothing that went in has changed.

        `verdicts` is a digest of what transforms over all units have said of its rows.
        """

    def reviewed(self, unit: Unit) -> Mapping[str, ReviewNote]:
        """What became of people's reviews of the rows of a unit in the last build, by id."""

    def made(self, stage: str, row: JsonObject) -> None:
        """A row of a list, map or group is there; it is taken when its unit's segment ends."""

    def take(self, unit: Unit, number: int, segment: Segment, verdicts: str) -> Outcome:
        """Writes the rows of a segment away."""

    def take_back(self, unit: Unit) -> None:
        """Forgets what came of the last segment of a unit, which works through it once more."""

    def judging(self, transform: str, measured: Sequence[tuple[str, Any]]) -> None:
        """A transform over all units judges now: ids and measures of its rows, in rank order."""

    def take_verdicts(self, transform: str, lines: Sequence[JsonObject]) -> Rows:
        """Writes away what a transform over all units has said of the rows of one."""

    def lines(self, stage: str, rows: Rows) -> Iterator[JsonObject]:
        """Rows that were written away."""

    def was_kept(self, transform: str, key: str) -> bool:
        """Whether the last build's transform kept the row with the id `key`."""
