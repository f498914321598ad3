"""The part of `cache fsck` that looks at versions: objects, records, and the list of datasets."""

from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from distill_build.cache.fsck.findings import Damage, DamageKind, Findings, Quarantine
from distill_build.cache.gc.roots import Records
from distill_build.cache.validation import Wholeness, intact, validated_version
from distill_build.dataset.layout import Dataset
from distill_build.engine.artefacts import file_state
from distill_build.engine.manifest import canonical
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.versions.archive import Archive, Root, Version, decode_record
from distill_build.versions.snapshot import FileSnapshot, chunks_of, take_snapshot


class VersionsCheck(msgspec.Struct):
    """Looks at the versions of `archive`. Without a `quarantine` everything stays where it is.

    `records` are the sound ones afterwards, oldest first.
    """

    archive: Archive
    quarantine: Quarantine | None
    findings: Findings
    records: Records = msgspec.field(default_factory=dict)
    _bad: set[str] = msgspec.field(default_factory=set)

    def run(self) -> None:
        """Fills in the findings."""
        roots = dict(self._sound_roots())
        self._look_at_records(roots)
        self._look_at_objects()
        self._look_for_pieces(roots)
        self._look_at_wholes(roots)

    def _sound_roots(self) -> Iterator[tuple[Path, Root]]:
        for path in sorted(self.archive.registry.directory.glob("*.json")):
            self.findings.checked["dataset"] += 1
            try:
                root = msgspec.json.decode(path.read_bytes(), type=Root)
            except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
                reason = (
                    f"the list of a dataset's versions {path.name} is damaged ({error}): its next build makes it anew"
                )
                self._damaged("dataset", path.name, reason, path)
            else:
                yield path, root

    def _look_at_records(self, roots: dict[Path, Root]) -> None:
        records, bad, there = {}, set(), self.archive.records.digests()
        names = {digest: f" of {root.name}" for root in roots.values() for digest in root.versions}
        for digest in there:
            self.findings.checked["version"] += 1
            try:
                records[digest] = self._record(digest)
            except CorruptEntryError:
                bad.add(digest)
                reason = f"version record {digest[:12]}{names.get(digest, '')} is damaged"
                self.findings.damage.append(Damage("version", digest, reason))
            except StorageError as error:
                self.findings.notes.append(f"{error}; it was left alone")
        self.records = dict(sorted(records.items(), key=lambda item: item[1].at))
        gone = names.keys() - set(there)
        for digest in sorted(gone):
            reason = f"version record {digest[:12]}{names[digest]} is gone"
            self.findings.damage.append(Damage("version", digest, reason, gone=True))
        if self.quarantine is not None:
            self._set_aside(bad | gone, roots)

    def _record(self, digest: str) -> Version:
        data = self.archive.records.data(digest)
        decode_record(digest, data)  # tells another scheme from damage, which admitted_version does not
        return validated_version(digest, data)

    def _set_aside(self, digests: set[str], roots: dict[Path, Root]) -> None:
        """Takes records away, with copies of the lists that name them."""
        assert self.quarantine is not None, "without one everything stays"  # noqa: S101
        if not digests:
            return
        for path, root in roots.items():
            if not digests.isdisjoint(root.versions):
                self.quarantine.copy("datasets", path)
        for digest in digests:
            record = self.archive.records.file(digest)
            if record.exists():
                self.quarantine.copy("versions", record)
        self.archive.remove(digests)

    def _look_at_objects(self) -> None:
        objects = self.archive.objects
        for digest in objects:
            self.findings.checked["object"] += 1
            if not intact(objects, digest):
                self._bad.add(digest)
                self._damaged("object", digest, f"object {digest[:12]} is damaged", objects.place(digest))

    def _look_for_pieces(self, roots: dict[Path, Root]) -> None:
        """Finds the objects that versions need and that are not there; takes them from the datasets' own files."""
        missing = self._missing()
        known = {damage.name for damage in self.findings.of("object")}
        for digest in sorted(missing - known):
            self.findings.damage.append(Damage("object", digest, f"object {digest[:12]} is gone", gone=True))
        lost = missing | self._bad
        files = (file for version in self.records.values() for file in version.files.values())
        self.findings.lists_lost = any(file.chunks in lost for file in files)
        if self.quarantine is not None and lost:
            for root in roots.values():
                self._restore(root, lost)
            self.findings.restored = {digest for digest in lost if digest in self.archive.objects}

    def _look_at_wholes(self, roots: dict[Path, Root]) -> None:
        """Finds the records whose objects are all sound and give something else than the record says."""
        wholeness, bad = Wholeness(self.archive.objects), set()
        for digest, version in self.records.items():
            if all(map(self._has, self._pieces(version))):  # else it was told what is missing
                try:
                    wholeness.check(version)
                except CorruptEntryError as error:
                    bad.add(digest)
                    self.findings.damage.append(Damage("version", digest, str(error)))
        self.records = {digest: version for digest, version in self.records.items() if digest not in bad}
        if self.quarantine is not None:
            self._set_aside(bad, roots)

    def _missing(self) -> set[str]:
        """Objects that versions need and that are gone or damaged, as far as the lists of them can be read."""
        return {name for version in self.records.values() for name in self._pieces(version) if not self._has(name)}

    def _pieces(self, version: Version) -> Iterator[str]:
        yield from version.recipes
        for file in version.files.values():
            yield file.chunks
            with suppress(CorruptEntryError):  # the list itself is what is missing then
                yield from chunks_of(self.archive.objects, file)

    def _has(self, digest: str) -> bool:
        return digest in self.archive.objects and (self.quarantine is not None or digest not in self._bad)

    def _restore(self, root: Root, lost: set[str]) -> None:
        """Puts objects back from a dataset's folder, where its files are still those of a version."""
        recipe = _recipe_in(Dataset(Path(root.folder)))
        if recipe is not None and sha256(recipe).hexdigest() in lost:
            self.archive.objects.put(recipe)
        for digest in root.versions:
            version = self.records.get(digest)
            for name, snapshot in version.files.items() if version is not None else ():
                path = Path(root.folder) / name
                if _is_of(path, snapshot):
                    take_snapshot(self.archive.objects, path)

    def _damaged(self, kind: DamageKind, name: str, reason: str, path: Path) -> None:
        self.findings.damage.append(Damage(kind, name, reason))
        if self.quarantine is not None:
            self.quarantine.move(f"{kind}s", name, path)


def _is_of(path: Path, snapshot: FileSnapshot) -> bool:
    try:
        return path.stat().st_size == snapshot.bytes and file_state(path).sha256 == snapshot.sha256
    except OSError:  # it is not there, or nobody may look
        return False


def _recipe_in(dataset: Dataset) -> bytes | None:
    """The object with the settings and prompts that a dataset's folder was built with last."""
    try:
        state = dataset.state()
    except OSError:
        return None
    return canonical(state.recipe) if state is not None else None
