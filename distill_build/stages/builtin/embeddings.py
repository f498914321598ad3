"""Embeddings: a vector of each question from an endpoint, by which dedup compares them by meaning.

A stage of its own, and not a part of dedup: so a vector is kept, priced, locked and explained as any result is, and
dedup stays pure. One text a request: what is stored, asked for again, and named by a failure is one row's.
"""

from typing import ClassVar

from distill_build.stages.flags import RowFlag
from distill_build.stages.kinds.map_stage import MapStage


class Builtin(MapStage):
    flags: ClassVar[tuple[RowFlag, ...]] = ()
