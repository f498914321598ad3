"""`export`: writes the dataset formats again from answers.jsonl, without a model and without the cache."""

from pathlib import Path

from distill_build.builds.exporting import export
from distill_build.console.notes import notes, say
from distill_build.console.page import print_document, print_lines
from distill_build.dataset.layout import FAILURES, Dataset
from distill_build.engine.artefacts import file_state
from distill_build.errors import MISSING_ITEMS
from distill_build.export import check_formats
from distill_build.options import Options
from distill_build.records import JsonObject, number_of
from distill_build.settings import Settings


def run(settings: Settings, options: Options) -> int:
    """Writes the formats that `settings` ask for and removes the others; 1 where rows could not be exported."""
    dataset = Dataset(Path(settings.output_dir) / settings.name)
    check_formats(settings.formats)
    exported = export(dataset, settings, notes(quiet=options.quiet))
    files = list(exported.files)
    if options.json:
        print_document(_document(dataset, files))
    elif not options.quiet:
        print_lines(f"{path}  {path.stat().st_size:,} bytes" for path in files)
    if not exported.refused:
        return 0
    number, failures = number_of(len(exported.refused), "rows"), dataset.artefact(FAILURES)
    say(f"{number} could not be exported, the first since {exported.refused[0].detail}: see {failures}")
    return MISSING_ITEMS


def _document(dataset: Dataset, files: list[Path]) -> JsonObject:
    """The document of `export --json`."""
    return {
        "folder": str(dataset.folder),
        "files": [
            {"path": str(path), "bytes": facts.size, "sha256": facts.sha256}
            for path, facts in ((path, file_state(path)) for path in files)
        ],
    }
