"""Panics in the middle of a call between native clients: they come back by themselves and hear and see each other again."""

import asyncio
import time
import urllib.parse
import urllib.request

import pytest
from livekit import rtc

import media
from conftest import Server
from test_room import both_signallings, eventually, fresh_room, guests, run

# From the panic until media flows again.
BACK_SECONDS_MAX = 5
MEASURING_SECONDS = 2
AUDIO = rtc.TrackKind.KIND_AUDIO
VIDEO = rtc.TrackKind.KIND_VIDEO


def provoke(server, **what):
    """A panic for the asking: worker=0, room=name, or room=name and identity=name."""
    url = f"http://127.0.0.1:{server.port}/console/api/fault?{urllib.parse.urlencode(what)}"
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=5) as response:
        assert response.status == 200


@pytest.mark.parametrize("what", ["session", "worker", "room"])
@both_signallings
def test_a_call_survives_a_panic(tmp_path, connections, what):
    async def test(server):
        room = fresh_room()
        async with (
            guests(server.url, room, connections, "ann", "ben") as (ann, ben),
            media.tone(ann.room, 1000),
            media.picture(ann.room, (255, 0, 0)),
            media.tone(ben.room, 1500),
        ):
            hearing = [(ben, "ann", AUDIO, 1000), (ann, "ben", AUDIO, 1500)]
            before = [await guest.track(whose, kind) for guest, whose, kind, _ in hearing]
            assert abs((await media.pitch_of(before[0]))[0] - 1000) < 5
            seen = await ben.track("ann", VIDEO)
            traffic = []
            for name in ("participant_connected", "participant_disconnected"):
                ben.room.on(name, lambda who, name=name: traffic.append((name, who.identity)))
            faults = {"session": {"room": room, "identity": "ann"}, "worker": {"worker": 0}, "room": {"room": room}}
            provoked = time.monotonic()
            await asyncio.to_thread(provoke, server, **faults[what])

            async def hears(guest, whose, kind, hz, old):
                track = await eventually(lambda: guest.tracks[whose, kind] is not old and guest.tracks[whose, kind], 30, whose)
                heard, loudness = await media.pitch_of(track)
                assert abs(heard - hz) < 5 and loudness > 500
                return time.monotonic() - provoked - MEASURING_SECONDS

            async def sees():
                track = await eventually(lambda: ben.tracks["ann", VIDEO] is not seen and ben.tracks["ann", VIDEO], 30, "video")
                await media.decoded(track, 5)
                return time.monotonic() - provoked

            times = await asyncio.gather(sees(), *(hears(*which, old) for which, old in zip(hearing, before, strict=True)))
            print(f"{what}, {connections}: back after {', '.join(f'{seconds:.1f}' for seconds in times)} s")
            assert max(times) < BACK_SECONDS_MAX
            assert list(ann.room.remote_participants) == ["ben"] and list(ben.room.remote_participants) == ["ann"]
            if what == "session":
                assert traffic == [("participant_disconnected", "ann"), ("participant_connected", "ann")]

    with Server(tmp_path / "log") as server:
        run(test(server))
