"""Ctrl-C and SIGTERM: at once, or after the step that is being taken."""

import signal

import pytest

from firstwords.common.errors import Interrupted
from firstwords.common.signals import StopSignal

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts_at_once(number: signal.Signals) -> None:
    with pytest.raises(Interrupted, match=number.name), StopSignal().listening():
        signal.raise_signal(number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_deferred_signal_is_only_noted(number: signal.Signals) -> None:
    with StopSignal().listening() as stop, stop.deferred():
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested


def test_a_second_ctrl_c_does_not_wait() -> None:
    with StopSignal().listening() as stop, stop.deferred():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)


def test_a_second_sigterm_waits_like_the_first() -> None:
    with StopSignal().listening() as stop, stop.deferred():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested


def test_after_the_deferred_part_signals_interrupt_again() -> None:
    with StopSignal().listening() as stop:
        with stop.deferred():
            pass
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)


def test_the_handlers_from_before_come_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with StopSignal().listening():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
