"""The jobs of a sweep: what they choose, which are the same, what their folders are called and where they lie. Pure."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from distill_build.engine.manifest import digest
from distill_build.errors import ConfigurationError, DistillError
from distill_build.graph import in_order
from distill_build.models.base import Limits
from distill_build.records import JsonObject
from distill_build.settings import Settings
from distill_build.stages.kinds.declared import roles_in_use
from distill_build.stages.kinds.recipe import NOT_IDENTITY

SWEEPS = "sweeps"
"""The folder of sweeps, within a dataset's or, for several datasets, within output_dir. No dataset has this name."""
ID_DIGITS = 12
LONGEST_BYTES = 120
MARK_DIGITS = 6
WITHOUT_CHOICES = "job"
PLAIN = "=,.[]+-_@"
ONE_FOR_ALL = ("output_dir", "cache", "budget", "limits")
"""Settings that a sweep has once: a folder, a store, a purse, and how hard a call that several jobs need is tried."""
NOT_CONTENT = frozenset(
    {*ONE_FOR_ALL, "formats", "format", "trainers", "prompts", "idle_prompts", "own_fields", "objective", "models"}
    | {"unread"}
)
"""Settings that say how a dataset is made or written, and not which one it is; models are looked at role by role."""


class Choice(msgspec.Struct, frozen=True):
    """One swept setting: its key as typed, and its value in words: 5, [10,5], null, 网球."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class Variant(msgspec.Struct, frozen=True):
    """`choices` are the settings that differ among the jobs."""

    choices: tuple[Choice, ...]
    settings: Settings


class Job(msgspec.Struct, frozen=True):
    """One build of a sweep. `folder` lies in the sweep's; `same` are the jobs that come to the same settings."""

    choices: tuple[Choice, ...]
    settings: Settings
    folder: Path
    same: tuple[tuple[Choice, ...], ...] = ()

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def kept_as(self) -> str:
        """The name that its versions are kept under: the dataset's own history has none of them."""
        return str(self.folder.relative_to(self.settings.output_dir))

    @property
    def words(self) -> str:
        """The choices as typed."""
        return in_words(self.choices)


class Sweep(msgspec.Struct, frozen=True):
    """Distinct jobs, in the order in which they were asked for."""

    id: str
    folder: Path
    jobs: tuple[Job, ...]


def sweep_of(variants: Sequence[Variant]) -> Sweep:
    """The sweep of all variants. Raises ConfigurationError where they differ in what a sweep has once."""
    refuse_several([variant.settings for variant in variants])
    distinct = [group[0] for group in alike(variants)]
    sweep_id = digest(sorted(digest([str(choice) for choice in v.choices] + [content(v.settings)]) for v in distinct))
    folder = place_for([variant.settings for variant in distinct]) / sweep_id[:ID_DIGITS]
    return Sweep(folder.name, folder, jobs_in(folder, variants))


def jobs_in(folder: Path, variants: Sequence[Variant]) -> tuple[Job, ...]:
    """The distinct jobs of a sweep that lies in `folder`. Raises ConfigurationError for two that read the same."""
    jobs = tuple(
        Job(first.choices, first.settings, folder / folder_name(first.choices), tuple(each.choices for each in others))
        for first, *others in alike(variants)
    )
    if len(by_name := {job.name: job for job in jobs}) < len(jobs):
        twice = next(job for job in jobs if by_name[job.name] is not job)
        raise ConfigurationError(
            f"{twice.words} stands for two values that read the same, as a number and a text do: run a build for each"
        )
    return jobs


def alike(variants: Sequence[Variant]) -> list[list[Variant]]:
    """The variants, those together that come to the same settings."""
    groups: dict[bytes, list[Variant]] = {}
    for variant in variants:
        groups.setdefault(settings_key(variant.settings), []).append(variant)
    return list(groups.values())


def settings_key(settings: Settings) -> bytes:
    """What is the same for jobs that come to the same settings."""
    return msgspec.json.encode(replace(settings, own_fields={}))


def refuse_several(all_settings: Sequence[Settings]) -> None:
    """Raises ConfigurationError where jobs differ in one of `ONE_FOR_ALL`, or in the limits of one model."""
    for key in ONE_FOR_ALL:
        if any(getattr(settings, key) != getattr(all_settings[0], key) for settings in all_settings):
            raise several(key)
    roles = [roles_in_use(settings) for settings in all_settings]
    for role in in_order(roles):
        limits: dict[bytes, Limits] = {}
        for model in (settings.models[role] for settings, own in zip(all_settings, roles, strict=True) if role in own):
            same = msgspec.json.encode(replace(model, limits=Limits()))
            if limits.setdefault(same, model.limits) != model.limits:
                raise several(f"{role}.limits")


def refuse_swept(keys: Iterable[str]) -> None:
    """Raises ConfigurationError where one of `ONE_FOR_ALL` is among the keys that are swept."""
    for key in keys:
        if key.partition(".")[0] in ONE_FOR_ALL:
            raise several(key)


def several(key: str) -> ConfigurationError:
    """The sentence for a setting that a sweep has once."""
    return ConfigurationError(
        f"the jobs of a sweep share {key}, so it cannot be swept: leave out -m, and run a build for each value"
    )


def content(settings: Settings) -> JsonObject:
    """The settings that say which dataset comes out."""
    row: JsonObject = {key: value for key, value in msgspec.to_builtins(settings).items() if key not in NOT_CONTENT}
    row["reviews"] = {key: review.said for key, review in settings.reviews.items()}
    for role in roles_in_use(settings):
        model = msgspec.to_builtins(settings.models[role])
        row[role] = {key: value for key, value in model.items() if key not in NOT_IDENTITY}
    return row


def place_for(all_settings: Sequence[Settings]) -> Path:
    """Where sweeps over these settings lie: with their dataset, or with all datasets where there are several."""
    place = Path(all_settings[0].output_dir)
    names = {settings.name for settings in all_settings}
    return place / names.pop() / SWEEPS if len(names) == 1 else place / SWEEPS


def in_words(choices: Sequence[Choice]) -> str:
    """Choices as a person would type them."""
    return " ".join(map(str, choices)) or WITHOUT_CHOICES


def same_sentence(job: Job) -> str:
    """Which jobs come to the same settings as `job`, for one that has such."""
    typed = dict.fromkeys(map(in_words, (job.choices, *job.same)))
    if len(typed) > 1:
        return f"{' and '.join(typed)} come to the same configuration: built once"
    return f"{job.words if job.choices else 'the same job'} is asked for {len(job.same) + 1} times: built once"


def in_row(choices: Sequence[Choice]) -> dict[str, str]:
    """Choices for programs."""
    return {choice.key: choice.value for choice in choices}


def folder_name(choices: Sequence[Choice]) -> str:
    """The name of a job's folder, whichever jobs are beside it; another one's also where case does not count."""
    text = ",".join(map(str, choices)) or WITHOUT_CHOICES
    name = path_safe(text)
    return name if name == text == text.casefold() else _marked(name, text)


def path_safe(text: str) -> str:
    """Letters and digits of any script and `PLAIN`; the rest becomes a hyphen. At most `LONGEST_BYTES`, cut."""
    kept = "".join(each if each in PLAIN or unicodedata.category(each)[0] in "LNM" else "-" for each in text)
    return re.sub(r"-{2,}", "-", kept).lstrip(".-").encode()[:LONGEST_BYTES].decode(errors="ignore")


def _marked(name: str, text: str) -> str:
    """`name` with a mark that tells it from other texts which come to the same name."""
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:MARK_DIGITS]
    room = LONGEST_BYTES - MARK_DIGITS - 1
    return f"{name.encode()[:room].decode(errors='ignore')}~{mark}"


def told_with(choices: Sequence[Choice], error: DistillError) -> DistillError:
    """An error with the job that it is about, where it does not begin with one of the job's choices by itself."""
    words = list(map(str, choices))
    if any(str(error).startswith((f"{word}:", f"{word} ")) for word in words):
        return error
    return type(error)(f"{' '.join(words)}: {error}")


def is_of_all(error: DistillError, last: Callable[[], object]) -> bool:
    """Whether the first job's `error` is of nothing that is swept: the last job, made by `last`, has the same."""
    try:
        last()
    except DistillError as other:
        return str(other) == str(error)
    return False
