"""Decontaminate: questions that a benchmark asks too are dropped, before anybody is paid to answer them."""

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import Annotated, ClassVar

import msgspec

from distill_build.dataset.unit import Place, Verdict
from distill_build.graph import Shape
from distill_build.prompting.known import ANYTHING, NUMBER, Known
from distill_build.records import JsonObject
from distill_build.settings import Positive, Settings, StageSettings
from distill_build.stages.kinds.transform_stage import TransformStage
from distill_build.stages.measures.benchmarks import Benchmarks, read_benchmark

AGAINST, RUN, SHARE = "against", "run", "share"
"""Columns: the benchmark's file and the first run of words in common, null where there is none; and the share."""
DIGITS = 4


class DecontaminateSettings(StageSettings, frozen=True, kw_only=True):
    """`against` are files (see `benchmarks`). A run of `ngram` words in common is a hit; a question is dropped for one,
    or where a `share` of its runs are hits at the least."""

    against: list[str] | str = msgspec.field(default_factory=list)
    ngram: Positive = 8
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0
    report_only: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        return (self.against,) if isinstance(self.against, str) else tuple(self.against)


class Builtin(TransformStage):
    settings_type = DecontaminateSettings
    settings: DecontaminateSettings
    reads = frozenset({"question"})
    followers: ClassVar[Mapping[str, str]] = {
        "decontaminate.against": "against",
        "decontaminate.ngram": "ngram",
        "decontaminate.share": "share",
        "decontaminate.report_only": "report_only",
    }

    def __init__(self, shape: Shape, settings: StageSettings, build: Settings, known: Mapping[str, Known]) -> None:
        super().__init__(shape, settings, build, known)
        self._read = [read_benchmark(file) for file in self.settings.files]

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:
        return super().columns(own, above) | {AGAINST: ANYTHING, RUN: ANYTHING, SHARE: NUMBER}

    @cached_property
    def _benchmarks(self) -> Benchmarks:
        return Benchmarks(self._read, self.settings.ngram)

    def verdict(self, place: Place, row: JsonObject, others: JsonObject) -> Verdict:  # noqa: ARG002 - the text alone
        hits, runs = self._benchmarks.hits(row["question"])
        run, file = hits[0] if hits else (None, None)
        share = Fraction(len(hits), runs or 1)
        columns = {AGAINST: file, RUN: run, SHARE: round(float(share), DIGITS)}
        if not hits or share < Fraction(str(self.settings.share)) or self.settings.report_only:
            return Verdict(kept=True, columns=columns)
        return Verdict(kept=False, why=(f"asked in {file}",), columns=columns)

    def identity(self) -> JsonObject:
        """Files are known by what is in them: a benchmark that was fetched anew judges anew."""
        digests = {each.file: each.sha256 for each in self._read}
        return super().identity() | ({"against": digests} if digests else {})
