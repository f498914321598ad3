"""`check -m`: what `check` says of every model that a sweep uses, each asked once."""

from collections.abc import Iterable, Sequence

from distill_build.commands.check import check
from distill_build.commands.examination import Examination, distinct
from distill_build.options import Options
from distill_build.settings import Role
from distill_build.sweeps.variants import Variant


def run(variants: Sequence[Variant], options: Options) -> int:
    """Asks about each model as a job uses it that needs most of it; returns what `check` does."""
    examinations: dict[bytes, Examination] = {}
    for variant in variants:
        for alike, roles in distinct(variant.settings).items():
            if alike not in examinations or _lists(roles) > _lists(examinations[alike].roles):
                examinations[alike] = Examination(variant.settings, roles)
    return check(list(examinations.values()), options)


def _lists(roles: Iterable[Role]) -> int:
    """How many of the roles need lists, which a teacher does not."""
    return len({*roles} - {"teacher"})
