"""While files are replaced nobody interrupts; afterwards everybody may again."""

import os
import signal

import pytest

from distill_build.engine.signals import INTERRUPTIONS, undisturbed


@pytest.mark.parametrize("number", INTERRUPTIONS)
def test_an_interruption_in_the_middle_waits_for_nobody_and_stops_nothing(number: signal.Signals) -> None:
    done = []
    with undisturbed():
        os.kill(os.getpid(), number)
        done.append("first")
        done.append("second")
    assert done == ["first", "second"]


def test_afterwards_an_interruption_is_one_again() -> None:
    with undisturbed():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
