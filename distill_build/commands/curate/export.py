"""`export`: writes dataset formats from the rows that are there, without a model and without the cache."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from distill_build.builds.exporting import ROW_FACTS, TRAINERS, export
from distill_build.builds.session import dataset_of
from distill_build.commands.locate import find_dataset
from distill_build.console.checks import check_sentences
from distill_build.console.notes import notes, say
from distill_build.console.page import print_document, print_lines
from distill_build.dataset.layout import FAILURES, Dataset
from distill_build.engine.artefacts import file_state
from distill_build.errors import MISSING_ITEMS, UsageError
from distill_build.export import first_if_empty
from distill_build.options import Options
from distill_build.records import JsonObject, number_of
from distill_build.settings import Settings
from distill_build.stages.training.export_settings import OF_FORMAT, OF_KD


def run(settings: Settings, options: Options) -> int:
    """Writes the formats that are asked for, and anew those that lie there; 1 where rows could not be exported.

    Of a dataset that is named all settings are those of its folder, but for what is typed. Which stage is exported
    is the folder's own in either case.
    """
    note, typed = notes(quiet=options.quiet), frozenset(typed_settings(options.overrides))
    if options.names_dataset:
        refuse_two_names(options)
        refuse_other_settings(options)
        dataset = find_dataset(options, *options.arguments)
    else:
        dataset = dataset_of(settings)
    exported = export(dataset, settings, note, typed, named=options.names_dataset)
    files = list(exported.files)
    if options.json:
        print_document(_document(dataset, files))
    elif not options.quiet:
        print_lines(f"{path}  {path.stat().st_size:,} bytes" for path in files)
    if (empty := first_if_empty(files)) is not None:
        say(f"no row is exported: {empty} is empty")
    for sentence in check_sentences(exported.checks):
        note(sentence)
    if not exported.refused:
        return 0
    number, failures = number_of(len(exported.refused), "rows"), dataset.artefact(FAILURES)
    say(f"{number} could not be exported, the first since {exported.refused[0].detail}: see {failures}")
    return MISSING_ITEMS


NAMING = ("topic", "name", "output_dir")
OF_ROWS = ("stage", "stages", "recipe")
"""Settings that may say which rows are exported, and as what."""
EXPORT = "export"
"""The one of a stage's own settings that does; a recipe calls all of them ROW_FACTS."""
OWN = ("formats", "system_prompt", TRAINERS, ROW_FACTS, *OF_FORMAT, *OF_KD)
"""The export settings by their names in a recipe."""
TYPED = (
    *("formats=[…]", "format.*", "kd.*", "system_prompt", "trainers=[…]"),
    *("stages", "stage.NAME.export", "recipe"),
)
"""The same as they are typed."""


OF_HYDRA = ("hydra.", "hydra/")
"""How settings of Hydra itself begin, which are of no dataset."""


def refuse_two_names(options: Options) -> None:
    """Raises UsageError where settings name a dataset beside the one that is named."""
    if twice := [word for word in options.overrides if key_of(word) in NAMING]:
        named = options.arguments[0] if options.arguments else f"-o {options.dataset}"
        raise UsageError(f"the dataset is named twice, by {named} and by {twice[0]}: leave one out")


def refuse_other_settings(options: Options) -> None:
    """Raises UsageError where settings are typed that reach no export: those of the folder count in their place."""
    words = [word for word in options.overrides if not key_of(word).startswith(OF_HYDRA)]
    if others := [word for word in words if not set(typed_settings([word])) <= set(OWN)]:
        raise UsageError(
            f"{' and '.join(others)} would be ignored: what is named is exported with the settings of its folder, but "
            f"for {', '.join(TYPED)}. Leave out all others"
        )


def typed_settings(words: Iterable[str]) -> Iterator[str]:
    """The export settings that are typed, by their names in a recipe; any other by its key."""
    for key in map(key_of, words):
        group, _, name = key.partition(".")
        if group == "format":
            yield from [name] if name else OF_FORMAT
        elif group == "kd":
            yield from [f"kd_{name}", *(["kd_student"] if name == "tokenizer" else [])] if name else OF_KD
        elif group in OF_ROWS and (group != "stage" or EXPORT in name.split(".")[1:2]):
            yield ROW_FACTS
        else:
            yield key


def key_of(word: str) -> str:
    """The key of a setting as typed."""
    return word.partition("=")[0].lstrip("+~")


def _document(dataset: Dataset, files: list[Path]) -> JsonObject:
    """The document of `export --json`."""
    return {
        "folder": str(dataset.folder),
        "files": [
            {"path": str(path), "bytes": facts.size, "sha256": facts.sha256}
            for path, facts in ((path, file_state(path)) for path in files)
        ],
    }
