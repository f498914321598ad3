"""Files that somebody else than a build has written are kept before they are replaced."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from distill_build.engine.artefacts import file_sha256, set_aside
from distill_build.stages.dataset import Dataset


def keep_edited(dataset: Dataset, new: Mapping[str, Path], old: Iterable[str], folder: Path) -> tuple[Path, ...]:
    """Copies what is about to be replaced or removed, and is not as it was last written here, into `folder`.

    `new` maps names to the new files; `old` are names that go where there is no new file. What is to be replaced by
    the same bytes needs no copy.
    """
    state = dataset.state()
    known = state.outputs if state is not None else {}
    names = dict.fromkeys(name for name in (*new, *old) if not name.startswith("runs/"))
    places = {name: dataset.artefact(name) for name in names}
    there = {name: place for name, place in places.items() if place.is_file()}
    edited = [name for name, place in there.items() if name not in known or not known[name].holds(place)]
    lost = [name for name in edited if name not in new or not same_bytes(new[name], there[name])]
    return tuple(set_aside(there[name], folder) for name in lost)


def same_bytes(first: Path, second: Path) -> bool:
    """Whether two files hold the same."""
    return first.stat().st_size == second.stat().st_size and file_sha256(first) == file_sha256(second)
