"""`check -m`: what `check` says of every model that a sweep uses, each asked once."""

from collections.abc import Sequence

from distill_build.commands.make.check import check_endpoints
from distill_build.commands.make.examination import Examination, distinct, needs_json
from distill_build.options import Options
from distill_build.sweeps.jobs import Variant


def run(variants: Sequence[Variant], options: Options) -> int:
    """Asks about each model as a job uses it that needs most of it; returns what `check` does."""
    examinations: dict[bytes, Examination] = {}
    for variant in variants:
        for alike, roles in distinct(variant.settings).items():
            known = examinations.get(alike)
            if known is None or (needs_json(variant.settings, roles) and not known.needs_json):
                examinations[alike] = Examination(variant.settings, roles)
    return check_endpoints(list(examinations.values()), options)
