"""Hydra → `Settings`. Also `resolution`, `multirun` and `launching` know Hydra or OmegaConf, imported in functions.

    run(words, task)
      ├── quote_free_text    topics and names become text that Hydra reads as typed
      ├── look_for_files     where files lie, how they are read, and which stages and roles there are: `files`
      ├── compose            one build by Hydra's compose API, twice as fast as hydra.main, or a sweep
      ├── hand_out           sweeps in which other sweepers or launchers take part: `launching`
      ├── hydra_main         all the rest as hydra.main does it: --cfg, --info, callbacks of a single build, …
      ├── Job                a composed configuration → Settings → task → exit status
      └── translate          whatever Hydra refuses becomes one sentence: `errors`

All ways look into a project's own conf/ first: see `conf_folders`.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_build.config.errors import translate
from distill_build.config.free_text import quote_free_text
from distill_build.errors import ConfigurationError, UsageError
from distill_build.project import from_cwd

if TYPE_CHECKING:
    from hydra.core.config_search_path import ConfigSearchPath
    from omegaconf import DictConfig

    from distill_build.config.launching import LaunchedJob
    from distill_build.config.multirun import ComposedSweep
    from distill_build.settings import Settings
    from distill_build.sweeps.jobs import Variant

Task = Callable[["Settings"], int]
SweepTask = Callable[["Sequence[Variant]"], int]
Launched = Callable[[], "LaunchedJob"]

PRIMARY = "distill"
PROJECT_CONF = Path("conf")
VERSION_BASE = "1.3"
FULL_ERROR = "HYDRA_FULL_ERROR"
MULTIRUN = frozenset({"-m", "--multirun"})
PLACES = ("--config-dir", "--config-name", "--config-path")
"""Flags that say where the configuration is, and nothing of what is done with it."""
PATHS = ("--config-dir", "--config-path", "--experimental-rerun")
RECIPE = re.compile(r"\+{0,2}recipe=(?!basic$)")
"""A recipe that is typed, other than the one that sets nothing."""


def run(
    words: Sequence[str],
    task: Task,
    sweep: SweepTask,
    launched: Launched | None = None,
) -> int:
    """Composes the configuration that `words` ask for and gives its settings to `task`; with -m all to `sweep`.

    `words` are overrides and Hydra's own flags, a flag's value after `=`. Returns the exit status of either; 0 where
    there was nothing to do (`--cfg`, `--info`). A mistake in the settings of any job is raised before `sweep` gets
    them. `launched` is what other launchers run; without it they do nothing.

    Raises ConfigurationError or UsageError for what cannot be composed. What `task` or `sweep` raises comes unchanged.
    """
    flags = [word for word in words if word.startswith("-")]
    overrides = [word for word in words if not word.startswith("-")]
    multirun = not MULTIRUN.isdisjoint(flags) or "hydra.mode=multirun" in map(str.lower, overrides)
    quoted = quote_free_text(overrides, multirun=multirun)
    flags = [with_path(flag) for flag in flags]
    places = {name: value for name, _, value in (flag.partition("=") for flag in flags) if name in PLACES}
    job = HydraTask(task)
    refuse_removal(overrides)
    look_for_files(places, overrides)
    if {flag.partition("=")[0] for flag in flags} <= MULTIRUN | set(PLACES) and "://" not in places.get(PLACES[2], ""):
        composed = compose(quoted, places, multirun=multirun)
        if composed is not None:
            return run_composed(composed, job, sweep, launched)
    return hydra_main([*flags, *quoted], job)


def run_composed(
    composed: "DictConfig | ComposedSweep", job: "HydraTask", sweep: SweepTask, launched: Launched | None
) -> int:
    """Runs one build, or a sweep in the way that its configuration asks for."""
    from omegaconf import DictConfig

    if isinstance(composed, DictConfig):
        job(composed)
        return job.outcome(0)
    if not composed.is_plain:
        from distill_build.config.launching import hand_out, refuse_search

        if launched is not None:
            return hand_out(composed, launched())
        refuse_search(composed)
    return sweep(composed.variants())


class HydraTask:
    """What Hydra calls for a composed configuration. Keeps the exit status, and what was raised.

    Hydra would print an exception of its own accord and drop a status, so neither is given to it.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.status = 0
        self.raised: Exception | None = None

    def __call__(self, composed: "DictConfig") -> None:
        """Runs the task once."""
        from hydra.core.hydra_config import HydraConfig

        from distill_build.config.resolution import settings_of

        try:
            self.status = self.task(settings_of(composed, HydraConfig.get().runtime.choices))
        except Exception as error:  # noqa: BLE001 - kept for the caller: Hydra would hide what it was
            self.raised = error

    def outcome(self, status: int) -> int:
        """The higher of `status` and the task's own. Raises what the task raised."""
        if self.raised is not None:
            raise self.raised
        return max(status, self.status)


# ---- Hydra ----


def packed_conf() -> Path:
    """Our own conf/: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def compose(overrides: list[str], places: Mapping[str, str], *, multirun: bool) -> "DictConfig | ComposedSweep | None":
    """Composes a build or a sweep; None where Hydra would have more to do with a build, and `hydra_main` must.

    `hydra.main` composes twice and copies the result twice, which for our configuration takes twice as long.
    `places` are the values of `PLACES`.
    """
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    primary = primary_of(places)
    folder = str(Path(places.get("--config-path", packed_conf())).absolute())
    try:
        with initialize_config_dir(folder, job_name="distill-build", version_base=VERSION_BASE):
            composed = None if multirun else compose_one(primary, overrides)
            if composed is None or composed.hydra.mode == RunMode.MULTIRUN:
                from distill_build.config.multirun import compose_sweep  # a build alone has no jobs

                return compose_sweep(GlobalHydra.instance().config_loader(), primary, overrides)
    except Exception as error:
        raise translate(error) from error
    hydra = composed.hydra
    more = hydra.callbacks or hydra.job.env_set or hydra.job.chdir or hydra.output_subdir
    return None if more or any(word.lstrip("+~").startswith("hydra") for word in overrides) else composed


def compose_one(primary: str, overrides: list[str]) -> "DictConfig":
    """One composed configuration, in which Hydra looks up what refers to it."""
    from hydra import compose
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    composed = compose(primary, overrides, return_hydra_config=True)
    OmegaConf.set_readonly(composed.hydra, True)
    current: Any = HydraConfig.instance()
    current.cfg = composed  # its set_config copies the node, for those who take it out of theirs
    return composed


def hydra_main(arguments: Sequence[str], job: HydraTask) -> int:
    """Runs a command line as `hydra.main` does. Returns the higher status of Hydra and of its job."""
    import hydra

    start = hydra.main(version_base=VERSION_BASE, config_path=str(packed_conf()), config_name=PRIMARY)(job)
    status = 0
    with command_line([absolute(word) for word in arguments if not word.startswith("--config-dir=")]):
        try:
            start()
        except SystemExit as leaving:  # Hydra leaves this way after --hydra-help, and after --package of no node
            status = 0 if leaving.code in (None, 0) else ConfigurationError.exit_code
        except Exception as error:
            if job.raised is None:
                raise translate(error) from error
    return job.outcome(status)


def with_path(flag: str) -> str:
    """A flag whose value is a path, with that path as it is reached in the project's root."""
    name, _, value = flag.partition("=")
    return f"{name}={from_cwd(value)}" if name in PATHS and "://" not in value else flag


def absolute(word: str) -> str:
    """`--config-path` from the working directory; Hydra would look beside this file."""
    flag, _, value = word.partition("=")
    return f"{flag}={Path(value).resolve()}" if flag == "--config-path" and "://" not in value else word


@contextmanager
def command_line(arguments: Sequence[str]) -> Iterator[None]:
    """The process with `arguments` as its command line, and Hydra raising errors instead of printing them."""
    argv, full_error = sys.argv, os.environ.get(FULL_ERROR)
    sys.argv = ["distill-build", *arguments]
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        if full_error is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = full_error


def refuse_removal(overrides: Iterable[str]) -> None:
    """Raises ConfigurationError for a stage or a role's model that is taken away: its names would be told as wrong."""
    for word in overrides:
        if word == "~stage" or re.fullmatch(r"~stage[./][\w-]+", word):
            raise ConfigurationError(f"{word}: a stage that is not wanted is left out of stages=[…]")
        if re.fullmatch(r"~model@[\w-]+", word):
            raise ConfigurationError(
                f"{word}: a role has a model as long as a stage asks it: {word[1:]}=same lets it follow model"
            )


def look_for_files(places: Mapping[str, str], overrides: Sequence[str]) -> None:
    """Makes Hydra look into all folders of a configuration, and know all stages and roles that they have.

    `places` are the values of `PLACES`. Raises ConfigurationError for a stage's file that cannot be one, and for a
    recipe beside a file that says the same; UsageError for a --config-dir that is not there.
    """
    from hydra.core.plugins import Plugins

    from distill_build.config.files import find_stages, refuse_recipe, take_over

    config_dir = places.get("--config-dir")
    if config_dir is not None and not Path(config_dir).is_dir():
        raise UsageError(f"--config-dir={config_dir}: there is no such folder")
    plugin = search_path_plugin()
    plugin.config_dir = Path(config_dir) if config_dir is not None else None
    Plugins.instance().register(plugin)
    primary = primary_of(places)
    take_over(primary, packed_conf())
    config_path = places.get("--config-path")
    folders = conf_folders(plugin.config_dir, config_path)
    try:
        are_all = config_path is None or "://" not in config_path  # what is no folder Hydra alone can look into
        find_stages(folders, packed_conf(), primary, overrides, are_all=are_all)
        if recipes := [word for word in overrides if RECIPE.match(word)]:
            refuse_recipe(recipes[0], folders, packed_conf(), primary)
    except Exception as error:
        raise translate(error) from error


def primary_of(places: Mapping[str, str]) -> str:
    """The name of the primary file."""
    return places.get("--config-name", PRIMARY).removesuffix(".yaml")


def conf_folders(config_dir: Path | None, config_path: str | None) -> list[Path]:
    """The folders of a configuration, the first counting most: as `search_path_plugin` has Hydra look into them.

    A conf/ with a distill.yaml is ours, and stands in for packed files. Any other may be another program's:
    its files are found where their names are not taken (`model=mine` from conf/model/mine.yaml), no more.
    """
    project = PROJECT_CONF.resolve()
    ours, others = ([project], []) if is_ours(project) else ([], [project] * project.is_dir())
    first = [config_dir.resolve()] if config_dir is not None else []
    main = [Path(config_path).resolve()] if config_path is not None and "://" not in config_path else []
    return list(dict.fromkeys([*first, *ours, *(main or [packed_conf()]), *others, packed_conf()]))


def is_ours(project: Path) -> bool:
    """Whether a conf/ is that of a project of ours."""
    return (project / f"{PRIMARY}.yaml").is_file()


@cache
def search_path_plugin() -> Any:
    """The plugin class that `look_for_files` registers, one for the process."""
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class ProjectConf(SearchPathPlugin):
        config_dir: Path | None = None

        def manipulate_search_path(self, search_path: "ConfigSearchPath") -> None:
            project = PROJECT_CONF.resolve()
            if project.is_dir() and project != packed_conf():
                (search_path.prepend if is_ours(project) else search_path.append)("project", f"file://{project}")
            if self.config_dir is not None:
                search_path.prepend("command-line", f"file://{self.config_dir.resolve()}")
            if all(element.path != str(packed_conf()) for element in search_path.get_path()):  # --config-path
                search_path.append("distill-build", f"file://{packed_conf()}")

    return ProjectConf
