"""What goes on at the gates, for whoever watches: how many requests are under way, and why no more are sent."""

from typing import Literal

import msgspec


class Hold(msgspec.Struct, frozen=True):
    """Nothing is sent for so many seconds more: to `retry` what failed then, or to keep the `pace` of rpm and tpm."""

    seconds: float
    why: Literal["retry", "pace"]


class GateTraffic(msgspec.Struct, frozen=True):
    """One endpoint's model: it may have `width` requests in flight at present, and `concurrency` by its limits.

    `paced` says that requests or tokens a minute are limited.
    """

    model: str
    width: int
    concurrency: int
    paced: bool = False
    hold: Hold | None = None


class Traffic(msgspec.Struct, frozen=True):
    """All models of a build at one moment; `stopped` says that nothing more is asked."""

    in_flight: int
    gates: tuple[GateTraffic, ...] = ()
    stopped: bool = False
