"""Which version the files in a dataset's folder are, as they lie there: the lock may name another one."""

from distill_build.engine.artefacts import file_sha256
from distill_build.stages.dataset import ARTEFACTS, Dataset, version_of


def folder_version(dataset: Dataset) -> str | None:
    """The version that the artefacts of `dataset` make; None where there are none.

    One whose size and time are those of the last build or checkout is taken to be what that wrote; any other is read.
    """
    state = dataset.state()
    written = state.outputs if state is not None else {}
    sha256: dict[str, str] = {}
    for name in ARTEFACTS:
        place = dataset.artefact(name)
        if name in written and written[name].untouched(place):
            sha256[name] = written[name].sha256
        elif place.is_file():
            sha256[name] = file_sha256(place)
    return version_of(sha256) if sha256 else None
