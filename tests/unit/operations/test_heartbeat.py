"""Heartbeats go on while the body runs, whatever becomes of one, and are over when it is."""

import threading

from keyart.operations.heartbeat import beating


def test_beats_until_the_body_ends_and_survives_a_failure():
    beats, thrice = [], threading.Event()

    def beat():
        beats.append(len(beats))
        if len(beats) == 1:
            raise OSError("no disk")
        if len(beats) == 3:
            thrice.set()

    with beating(beat, 0.001):
        assert thrice.wait(60)
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]
