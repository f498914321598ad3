"""What a plan and a build of the same settings share: prompts, recipes, the dataset, and the digest of all of it."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from distill_build.engine.cache_directory import CacheDirectory
from distill_build.engine.manifest import digest
from distill_build.errors import ConfigurationError
from distill_build.models.weights import weights_digest, weights_path
from distill_build.records import JsonObject
from distill_build.settings import PromptSettings, Settings, Stage
from distill_build.stages.dataset import Dataset
from distill_build.stages.identity import (
    ROWS_VERSION,
    build_digest,
    counts_identity,
    export_identity,
    tree_identity,
)
from distill_build.stages.prompts import Prompts
from distill_build.stages.recipe import Recipe
from distill_build.stages.tally import STAGES
from distill_build.stages.tree import Node


def dataset_of(settings: Settings) -> Dataset:
    """The dataset that `settings` build."""
    return Dataset(Path(settings.output_dir) / settings.name)


def matching_globs(globs: Iterable[str], path: tuple[str, ...]) -> set[str]:
    """Those that name the place at `path`, as --rebuild takes them: `*` crosses slashes."""
    return {glob for glob in globs if fnmatchcase("/".join(path), glob)}


def prompts_of(settings: Settings) -> Prompts:
    """The templates that `settings` name. The folder that is the default need not be there, any other must.

    Raises ConfigurationError for templates that cannot be used.
    """
    folder = settings.prompts.dir
    if folder != PromptSettings().dir and not Path(folder).is_dir():
        raise ConfigurationError(
            f"prompts.dir={folder}: there is no such folder: put the templates that are to be others there, as in "
            f"{Path(folder, settings.language, 'questions.jinja')}, or leave prompts.dir out"
        )
    return Prompts(settings.language, Path(folder))


class Session:
    """`settings` made ready. Raises ConfigurationError for templates or weights that cannot be used.

    `unmatched` are the globs of --rebuild that no place asked about has matched so far.
    """

    def __init__(
        self,
        settings: Settings,
        rebuild: tuple[str, ...] = (),
        weights: Callable[[], Mapping[Stage, str]] = dict,
        *,
        dataset: Dataset | None = None,
        kept_as: str | None = None,
        prompts: Prompts | None = None,
    ) -> None:
        """`rebuild` are globs over paths written with slashes, as --rebuild takes them; `*` crosses slashes.

        `weights` gives digests to go by where a weights file is not on this machine, for a build that asks nothing.
        `dataset` is another place than the settings' own, `kept_as` another name for its versions; `prompts` are those
        of the settings, for who has read them already.
        """
        self.settings = settings
        self.rebuild = rebuild
        self.unmatched = set(rebuild)
        self.cache_dir = Path(settings.cache.dir)
        self.directory = CacheDirectory(self.cache_dir)
        self.dataset = dataset or dataset_of(settings)
        self.kept_as = kept_as or settings.name
        self._known_weights = weights
        self.prompts = prompts or prompts_of(settings)
        self.recipes: dict[Stage, Recipe] = {
            stage: Recipe(stage, settings, self.prompts, self._weights(stage)) for stage in STAGES
        }
        self.identity = self._identity()

    def asked_anew(self, path: tuple[str, ...]) -> bool:
        """Whether --rebuild names the place at `path`."""
        matching = matching_globs(self.rebuild, path)
        self.unmatched -= matching
        return bool(matching)

    def build_digest(self, until: str, generation: str) -> str:
        """All that decides what a build leaves on disk, responses aside, whose `generation` stands for them."""
        return build_digest(self.identity, until, generation)

    def leaf_memo(self) -> Callable[[Node], str]:
        """A function from a leaf to the digest of all that goes into its rows, responses aside."""
        identity = {name: self.identity[name] for name in ("questions", "answers", "counts")}
        base = digest([ROWS_VERSION, identity])
        return lambda node: digest([base, node.path])

    def _weights(self, stage: Stage) -> str | None:
        model = self.settings.role(stage)
        if model.engine != "embedded":
            return None
        try:
            path = weights_path(model)
        except ConfigurationError:
            known = self._known_weights().get(stage)
            if known is None:
                raise
            return known
        return weights_digest(path, self.cache_dir)

    def _identity(self) -> JsonObject:
        settings = self.settings
        stages: JsonObject = {stage: self.recipes[stage].identity() for stage in STAGES}
        return stages | {
            "tree": tree_identity(settings),
            "counts": counts_identity(settings),
            "graph": {"stages": list(STAGES)},
            "export": export_identity(settings),
        }
