"""Finds the dataset and the cache that a command without a configuration works on.

`history` and `checkout` find also a dataset of which there is no folder yet, in the cache alone.
"""

import difflib
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, takewhile
from pathlib import Path

from distill_build.config.naming import dataset_name
from distill_build.console.notes import notes
from distill_build.dataset.layout import RESPONSES, STATE, Dataset, is_artefact
from distill_build.dataset.lockfile import LOCK
from distill_build.dataset.transaction import finish_moves, has_rows_so_far
from distill_build.engine.artefacts import replacing
from distill_build.engine.cache_directory import CacheDirectory
from distill_build.errors import UsageError
from distill_build.history.setting_wording import listed
from distill_build.options import Options
from distill_build.project import entered, from_cwd, from_root
from distill_build.stages.default import DEFAULT
from distill_build.versions.archive import Archive
from distill_build.versions.names import GIT, LATEST, Names, digest_named

OUTPUTS = Path("outputs")
"""The default of output_dir, in the project's root. A dataset elsewhere is named by its folder."""
DEFAULT_CACHE = ".distill-cache"
CACHE_VARIABLE = "DISTILL_CACHE_DIR"
TYPED = "--cache-dir"
NAMED = 3
"""Datasets to choose from, named one by one."""
SET_ASIDE = "what was edited goes to runs/<run id>/: copy it back behind that, and `edit` takes it"
PLAIN = re.compile(r"[\w@%+=:,./-][\w@%+=:,./~-]*")
"""A word that no shell reads otherwise: `latest~1` needs no quotes."""


def outputs() -> Path:
    """Where datasets lie."""
    return Path(from_root(str(OUTPUTS)))


def find_dataset(options: Options, name: str | None = None) -> Dataset:
    """The dataset called `name`, or named by -o, or the only one there is.

    Either may be a folder, a name under outputs/, or a topic as it was typed. Where none is named, the one around
    the working directory comes first. What a killed run had begun to move is carried out. Raises UsageError where there
    is none, or where there are several to choose from, StorageError where files are half moved and cannot be.
    """
    if name is not None and options.dataset is not None:
        raise UsageError(f"the dataset is named twice, as '{name}' and by -o {options.dataset}: leave one out")
    wanted = name or options.dataset
    return settled(_only() if wanted is None else _called(wanted), options)


def settled(dataset: Dataset, options: Options) -> Dataset:
    """The dataset, once no files of it are half moved: they would be read as one version, and be of two."""
    finish_moves(dataset, notes(quiet=options.quiet))
    return dataset


@contextmanager
def find_rows(options: Options, name: str | None = None) -> Iterator[Dataset]:
    """As `find_dataset`, for who looks at rows: those that a build has so far, where no complete version lies there.

    Says so, and where a build was stopped.
    """
    dataset = find_dataset(options, name)
    if not has_rows_so_far(dataset):
        tell_unfinished(dataset, options)
        yield dataset
        return
    from distill_build.dataset.so_far import dataset_so_far  # seldom wanted, and it takes time to load

    with dataset_so_far(dataset) as so_far:
        if so_far is None:
            tell_unfinished(dataset, options)
        else:
            notes(quiet=options.quiet)(
                f"{dataset.folder}: the rows so far of run {so_far.run_id}, which has not come to its end; if it runs "
                "no more, run it again to go on"
            )
        yield so_far or dataset


def tell_unfinished(dataset: Dataset, options: Options) -> None:
    """Says what has ended the last build before it had asked for all."""
    state = dataset.state()
    if state is not None and state.stopped is not None:
        notes(quiet=options.quiet)(f"{dataset.folder} is unfinished: {state.stopped}")


def typed(options: Options, *words: str) -> str:
    """A command line to be pasted: the command's `words`, and the flags that named the dataset and the cache."""
    named = {"-o": options.dataset, "--cache-dir": options.cache_dir}
    flags = (word for flag, value in named.items() if value is not None for word in (flag, value))
    return " ".join(map(_pasted, ("distill-build", *words, *flags)))


def _pasted(word: str) -> str:
    return word if PLAIN.fullmatch(word) else shlex.quote(word)


def folder_at(place: str) -> Path:
    """A folder as it was typed, where that ends in its name; . and .. do not, and a dataset is called by its folder."""
    folder = Path(from_cwd(place))
    return folder.resolve() if folder.name in ("", os.pardir) else folder


def as_reached(wanted: str) -> str:
    """What the user calls a version; a path as it is reached in the project's root."""
    is_path = os.sep in wanted or os.path.lexists(from_cwd(wanted))
    return from_cwd(wanted) if is_path and not (LATEST.fullmatch(wanted) or wanted.startswith(GIT)) else wanted


def find_cache(options: Options, dataset: Dataset | None = None) -> Path:
    """The cache's folder: --cache-dir, else DISTILL_CACHE_DIR, else what the last build of the dataset recorded.

    Where no dataset is given or named, all that there are. Raises UsageError where there is none at that place, or
    where the datasets have several; StorageError where its marker is lost, damaged, or of another scheme.
    """
    place = find_cache_to_check(options, dataset)
    CacheDirectory(place).check_marker()
    return place


def find_cache_to_check(options: Options, dataset: Dataset | None = None) -> Path:
    """As `find_cache`, for who makes a marker anew: it may be damaged, or gone."""
    place, source = _cache_place(options, dataset)
    if not CacheDirectory(place).is_there():
        keeps = dataset is not None and source != TYPED and any(dataset.artefact(RESPONSES).glob("*"))
        aside = f" ({SET_ASIDE})" if dataset is not None and _was_edited(dataset) else ""
        kept = f"a build makes it anew from what {dataset.folder} keeps{aside}, or " if dataset is not None else ""
        anew = kept if keeps else ""
        raise UsageError(f"there is no cache at {place} ({source}): {anew}name its folder with --cache-dir DIR")
    return place


def _was_edited(dataset: Dataset) -> bool:
    outputs = ((dataset.artefact(name), facts) for name, facts in dataset.outputs().items() if is_artefact(name))
    return any(place.is_file() and not facts.holds(place) for place, facts in outputs)


def place_for_cache(options: Options) -> Path:
    """The folder that `find_cache` would name, whether or not a cache is there yet."""
    return _cache_place(options, None)[0]


def find_versions(options: Options, name: str | None = None) -> tuple[Dataset, Names]:
    """A dataset as `find_dataset` finds it, with the names of its versions in the cache that `find_cache` finds."""
    dataset = find_dataset(options, name)
    cache = find_cache(options, dataset)
    return dataset, Names(Archive(cache), dataset.folder, dataset.folder.name)


def find_kept(options: Options, name: str | None = None) -> tuple[Dataset, Names]:
    """As `find_versions`; where there is no such folder, a dataset that the cache has versions of.

    Raises UsageError where there is neither.
    """
    try:
        dataset = find_dataset(options, name)
    except UsageError as error:
        wanted = name or options.dataset
        if wanted is None and _folders():
            raise  # there are several
        dataset = _in_cache(options, error, lambda known, _: wanted in (None, known) or known == dataset_name(wanted))
    return dataset, _names_of(options, dataset)


def find_place(options: Options, version: str, name: str | None) -> tuple[Dataset, Names]:
    """The dataset that `version`, as typed, is to be brought back into.

    It is the one that is named; else the folder under outputs/ that `version` is; else the only one; else the one
    whose version it is. -o may name a folder that is not there yet.
    """
    named = name or options.dataset
    try:
        return find_kept(options, name or (_own_folder(version) if named is None else None))
    except UsageError as error:
        if named is None and (beginning := digest_named(version)) is not None:
            dataset = _in_cache(options, error, lambda _, digest: digest.startswith(beginning))
        elif name is None and options.dataset is not None and _is_free(folder_at(options.dataset)):
            dataset = Dataset(folder_at(options.dataset))
        else:
            raise
    return dataset, _names_of(options, dataset)


def _is_free(folder: Path) -> bool:
    """Whether a dataset may be brought into a folder where none is; sweeps over it lie in it too."""
    from distill_build.sweeps.jobs import SWEEPS  # which reads the prompts' language, and is seldom wanted

    return not folder.exists() or (folder.is_dir() and not {path.name for path in folder.iterdir()} - {SWEEPS})


def _names_of(options: Options, dataset: Dataset) -> Names:
    """The names of a dataset's versions. Where it was not built yet, the other datasets say which cache there is."""
    built = dataset.state() is not None
    cache = find_cache(options, dataset) if built else find_cache(options._replace(dataset=None))
    return Names(Archive(cache), dataset.folder, dataset.folder.name)


def _in_cache(options: Options, otherwise: UsageError, fits: Callable[[str, str], bool]) -> Dataset:
    """The only dataset that has a version which `fits`, by the dataset's name and the version; else `otherwise`."""
    known = sorted({name for name, version in _known(options) if fits(name, version)})
    names = [name for name in known if os.sep not in name] or known  # a sweep's jobs stand back
    if not names:
        raise otherwise
    if len(names) > 1:
        raise UsageError(f"which dataset? The cache has versions of {listed(names, NAMED)}: name one of them with -o")
    return Dataset(outputs() / names[0])


def _known(options: Options) -> Iterator[tuple[str, str]]:
    """(dataset's name, version) of all that the cache holds; nothing where there is no cache."""
    try:
        cache = find_cache(options._replace(dataset=None))
    except UsageError:
        return
    for version in Archive(cache).all():
        yield version.name, version.version


def _own_folder(version: str) -> str | None:
    path = folder_at(version)
    return path.name if path.is_dir() and path.absolute().parent == outputs().absolute() else None


def _called(wanted: str) -> Dataset:
    named = (outputs() / wanted, outputs() / dataset_name(wanted))
    is_path = wanted.startswith((os.curdir, os.sep))
    places = (folder_at(wanted), *named) if is_path else (named[0], folder_at(wanted), named[1])
    for folder in places:
        if _is_dataset(folder):
            return Dataset(folder)
    names = [folder.name for folder in _folders()]
    near = difflib.get_close_matches(dataset_name(wanted), names, n=1)
    hint = _job_beside(places) or (f"did you mean '{near[0]}'?" if near else _what_there_is(names))
    raise UsageError(f"there is no dataset '{wanted}': {hint}")


def _only() -> Dataset:
    folders = _folders()
    if (around := _around_cwd()) is not None:
        return Dataset(around)
    if len(folders) == 1:
        return Dataset(folders[0])
    names = [folder.name for folder in folders]
    begin = "which dataset?" if folders else f"there is no dataset under {outputs()}/:"
    raise UsageError(f"{begin} {_what_there_is(names)}")


def _what_there_is(names: list[str]) -> str:
    if not names and (job := _job_in([outputs()])):
        return job
    if not names:
        return "build one, as in distill-build topic=sports, or name a dataset's folder with -o DIR"
    return f"{outputs()}/ holds {', '.join(names)}; a folder elsewhere is named with -o DIR"


def _job_beside(places: Sequence[Path]) -> str | None:
    """What is to be said where one of `places` is a sweep, or was to be one."""
    from distill_build.sweeps.jobs import SWEEPS  # which reads the prompts' language, and is wanted for a mistake alone

    return _job_in([*places, outputs()]) if any(SWEEPS in place.parts for place in places) else None


def _job_in(places: Iterable[Path]) -> str | None:
    job = next(chain.from_iterable(map(_jobs, places)), None)
    return None if job is None else f"name the folder of a sweep's job, as in -o {_pasted(str(job))}"


def _folders() -> list[Path]:
    return sorted(folder for folder in outputs().glob("*") if _is_dataset(folder))


def _around_cwd() -> Path | None:
    """The dataset's folder below the project's root that the working directory lies in."""
    project = entered()
    places = (project.cwd, *project.cwd.parents)
    return next(filter(_is_dataset, takewhile(lambda place: place != project.root, places)), None)


def _jobs(place: Path) -> Iterator[Path]:
    """The folders of the jobs of all sweeps in `place`, which may be one."""
    from distill_build.sweeps.jobs import SWEEPS  # as above

    return (
        folder
        for pattern in ("*", "*/*", f"{SWEEPS}/*/*", f"*/{SWEEPS}/*/*")
        for folder in sorted(place.glob(pattern))
        if folder.parent.parent.name == SWEEPS and _is_dataset(folder)
    )


def _is_dataset(folder: Path) -> bool:
    """A built one, or one of which a fresh clone has the lock alone, or whose first build is at work or was killed."""
    there = any((folder / name).is_file() for name in (DEFAULT.tree.file, STATE, LOCK))
    return there or replacing(Dataset(folder).runs) or has_rows_so_far(Dataset(folder))


def _cache_place(options: Options, dataset: Dataset | None) -> tuple[Path, str]:
    """The folder, and who said so."""
    if options.cache_dir is not None:
        return Path(from_cwd(options.cache_dir)), TYPED
    if from_environment := os.environ.get(CACHE_VARIABLE):
        return Path(from_root(from_environment)), CACHE_VARIABLE
    if dataset is None and options.dataset is not None:
        dataset = find_dataset(options)
    recorded = _recorded(map(Dataset, _folders()) if dataset is None else [dataset])
    if len(recorded) > 1:
        raise UsageError(f"which cache? {' and '.join(recorded)} are in use here: choose with --cache-dir DIR")
    return (
        (Path(recorded[0]), "as the last build recorded")
        if recorded
        else (Path(from_root(DEFAULT_CACHE)), "the default")
    )


def _recorded(datasets: Iterable[Dataset]) -> list[str]:
    """The caches that the last builds of `datasets` used."""
    states = ((dataset, dataset.state()) for dataset in datasets)
    return sorted({str(dataset.cache(state)) for dataset, state in states if state is not None})
