"""Files that somebody else than a build has written are kept before they are replaced."""

from collections.abc import Mapping
from pathlib import Path

from distill_build.engine.artefacts import file_sha256, set_aside
from distill_build.stages.dataset import Dataset


def keep_edited(
    dataset: Dataset, new: Mapping[str, Path], folder: Path, left_alone: tuple[str, ...] = ()
) -> tuple[Path, ...]:
    """Copies what is about to be replaced or removed, and is not as it was last written here, into `folder`.

    `new` maps names to the new files; of files that were never written here only those are looked at. What is to be
    replaced by the same bytes needs no copy. Names in `left_alone` will not be touched.
    """
    state = dataset.state()
    known = {name: facts for name, facts in (state.outputs if state else {}).items() if name not in left_alone}
    places = {name: dataset.artefact(name) for name in (*known, *new) if not name.startswith("runs/")}
    there = {name: place for name, place in places.items() if place.is_file()}
    edited = [name for name, place in there.items() if name not in known or not known[name].holds(place)]
    lost = [name for name in edited if name not in new or not same_bytes(new[name], there[name])]
    return tuple(set_aside(there[name], folder) for name in lost)


def same_bytes(first: Path, second: Path) -> bool:
    """Whether two files hold the same."""
    return first.stat().st_size == second.stat().st_size and file_sha256(first) == file_sha256(second)
