"""What a plan and a build of the same settings share: stages, the dataset, and the digest of all that goes in."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from distill_build.dataset.layout import Dataset
from distill_build.engine.cache_directory import CacheDirectory
from distill_build.engine.manifest import digest
from distill_build.errors import ConfigurationError
from distill_build.models.base import ModelSettings
from distill_build.models.weights import weights_digest, weights_path
from distill_build.prompting.prompts import Prompts
from distill_build.records import JsonObject
from distill_build.settings import Settings
from distill_build.stages.all import Stages, prompts_of
from distill_build.stages.course import course_of, read_transforms
from distill_build.stages.identity import REFILL_REJECTED, ROWS_VERSION, build_digest, tree_identity
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.training.files import check_training_files
from distill_build.stages.training.identity import export_identity

if TYPE_CHECKING:
    from distill_build.builds.walk.nodes import Unit
    from distill_build.calls.call import Call


def dataset_of(settings: Settings) -> Dataset:
    """The dataset that `settings` build."""
    return Dataset(Path(settings.output_dir) / settings.name)


class Rebuild:
    """What --rebuild names: globs over paths written with slashes, each for all stages or, as STAGE:GLOB, for one.

    `unmatched` are those that have named no request so far.
    """

    def __init__(self, typed: tuple[str, ...], stages: Iterable[str]) -> None:
        self.typed = typed
        self.unmatched = set(typed)
        known = set(stages)
        self._parts = {word: _parted(word, known) for word in typed}

    def __bool__(self) -> bool:
        return bool(self.typed)

    def names(self, path: tuple[str, ...], stage: str | None = None) -> bool:
        """Whether it names the place at `path`, for `stage` or for any."""
        return bool(self.typed) and bool(self._naming(path, stage))

    def names_request(self, path: tuple[str, ...], stage: str) -> bool:
        """Whether it names a request of `stage` at `path`, which is one that a build makes."""
        if not self.typed:
            return False
        naming = self._naming(path, stage)
        self.unmatched -= naming
        return bool(naming)

    def _naming(self, path: tuple[str, ...], stage: str | None) -> set[str]:
        text = "/".join(path)
        return {
            word
            for word, (own, glob) in self._parts.items()
            if (own is None or stage is None or own == stage) and fnmatchcase(text, glob)
        }


def _parted(word: str, stages: set[str]) -> tuple[str | None, str]:
    stage, colon, glob = word.partition(":")
    return (stage, glob) if colon and stage in stages else (None, word)


class Session:
    """`settings` made ready. Raises ConfigurationError for stages, templates or weights that cannot be used."""

    def __init__(
        self,
        settings: Settings,
        rebuild: tuple[str, ...] = (),
        weights: Callable[[], Mapping[str, str]] = dict,
        *,
        dataset: Dataset | None = None,
        kept_as: str | None = None,
        prompts: Prompts | None = None,
    ) -> None:
        """`rebuild` is what --rebuild takes.

        `weights` gives digests by role to go by where a weights file is not on this machine, for a build that asks
        nothing. `dataset` is another place than the settings' own, `kept_as` another name for its versions; `prompts`
        are those of the settings, for who has read them already.
        """
        self.settings = settings
        self.cache_dir = Path(settings.cache.dir)
        self.directory = CacheDirectory(self.cache_dir)
        self.dataset = dataset or dataset_of(settings)
        self.kept_as = kept_as or settings.name
        self._known_weights = weights
        self.prompts = prompts or prompts_of(settings)
        self.stages = Stages(settings, self.prompts, self._weights)
        self.rebuild = Rebuild(rebuild, self.stages.graph.names)
        self.identity = self._identity()
        check_training_files(self.stages.graph, self.identity)

    def asked_anew(self, call: "Call") -> bool:
        """Whether --rebuild names a call."""
        return self.rebuild.names_request(call.path, call.stage)

    def build_digest(self, until: str, generation: str) -> str:
        """All that decides what a build leaves on disk, responses aside, whose `generation` stands for them."""
        return build_digest(self.identity, until, generation)

    def unit_memo(self, until: str) -> "Callable[[Unit, int, str], str]":
        """A function from a unit, the number of a segment and a digest of verdicts to the digest of all that goes into
        the segment's rows, responses aside."""
        bases, before, lists = list[str](), dict[str, Any](), list[list[ListStage]]()
        read = read_transforms(self.stages, until)
        for segment in course_of(self.stages, until):
            for name in segment.stages:
                before[name] = [self.identity[name], self.stages[name].count()]
            order = [name for name in self.stages.graph.names if name in before]  # decides which rows a stage sees
            bases.append(digest([ROWS_VERSION, order, before]))
            lists.append([stage for name in order if isinstance(stage := self.stages[name], ListStage)])
            if segment.judged is not None:  # usual verdicts are not in `verdicts`: they go by its identity
                before[segment.judged] = [self.identity[segment.judged]] if segment.judged in read else []

        counts = [[stage.name, stage.count()] for stage in self.stages]
        refill = [REFILL_REJECTED] if self.settings.curate.refill else []

        def memo(unit: "Unit", number: int, verdicts: str) -> str:
            earlier = unit.node.earlier()
            shown = [stage.elsewhere(earlier) for stage in lists[number]]
            return digest([bases[number], unit.tag.line, shown, verdicts, *_said_by_hand(unit, counts), *refill])

        return memo

    def _weights(self, role: str, model: ModelSettings) -> str | None:
        if model.engine != "embedded":
            return None
        try:
            path = weights_path(model)
        except ConfigurationError:
            known = self._known_weights().get(role)
            if known is None:
                raise
            return known
        return weights_digest(path, self.cache_dir)

    def _identity(self) -> JsonObject:
        counts = {stage.name: count for stage in self.stages if (count := stage.count()) is not None}
        return self.stages.identity() | {
            "tree": tree_identity(self.settings),
            "counts": counts,
            "graph": {"stages": list(self.stages.graph.names)},
            "export": export_identity(self.settings),
        }


def _said_by_hand(unit: "Unit", counts: list[Any]) -> list[Any]:
    """What people say of the place of a unit; nothing where they say nothing.

    With items of their own stands how many rows of each stage hang on one: a segment has noted how many are to be there
    besides those that are declared.
    """
    node = unit.node
    items = msgspec.to_builtins(node.subtree.own.items)
    below = node.subtree
    said = [node.shown if node.shown != node.path else None, dict(below.counts), below.description, below.held, items]
    if below.answer is not None:
        said.append([*below.answer.labels, below.answer.schema])
    return [said, counts if items else []] if any(said) else []
