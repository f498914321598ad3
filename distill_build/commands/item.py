"""The item that `show` and `log` are asked for: where the folder holds it no longer, as the newest version has it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from distill_build.commands.locate import find_cache, typed
from distill_build.commands.lookup import Found, file_of, find, unknown
from distill_build.errors import DistillError
from distill_build.options import Options
from distill_build.records import short
from distill_build.stages.dataset import KEPT, Dataset
from distill_build.versions.archive import Archive, Version
from distill_build.versions.holding import newest_with
from distill_build.versions.snapshot import restore


@dataclass(frozen=True, slots=True)
class Standing:
    """An item with the files that it stands in: those of the folder, or for a while those of `version`."""

    found: Found
    files: Dataset
    version: Version | None = None

    @property
    def from_version(self) -> str | None:
        """The digest of the version that it was found in; None for the folder."""
        return None if self.version is None else self.version.version

    def note(self, options: Options, dataset: Dataset) -> list[str]:
        """What a user has to know of an item that is not in the folder of `dataset`."""
        if self.version is None:
            return []
        digest = short(self.version.version)
        command = typed(replace(options, dataset=str(dataset.folder)), "checkout", digest)
        return [
            f"! not in {dataset.folder} now: told from version {digest}, the newest that has it; `{command}` brings it "
            "back"
        ]


@contextmanager
def find_item(options: Options, dataset: Dataset, wanted: str) -> Iterator[Standing]:
    """The item called `wanted`, as `lookup.find` reads it, in the folder or else in the newest version that has it.

    Raises UsageError where there is none or more than one, StorageError where that version is damaged.
    """
    found = find(dataset, wanted)
    if found is not None:
        yield Standing(found, dataset)
        return
    otherwise = unknown(dataset, wanted)
    try:
        archive = Archive(find_cache(options, dataset))
    except DistillError:
        raise otherwise from None
    versions = archive.history(dataset.folder, dataset.folder.name)[::-1]
    version = newest_with(archive.objects, versions, file_of(wanted), wanted)
    if version is None:
        raise otherwise
    with TemporaryDirectory() as folder:
        files = Dataset(Path(folder))
        for name in KEPT:
            if name in version.files:
                restore(archive.objects, version.files[name], files.artefact(name))
        found = find(files, wanted)
        assert found is not None, "it was seen in this version"  # noqa: S101
        yield Standing(found, files, version)
