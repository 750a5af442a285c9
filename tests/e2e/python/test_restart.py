"""A restart in the middle of a call between native clients: they come back by themselves and hear each other again."""

import asyncio
import time

from livekit import rtc

import media
from conftest import Server
from test_room import both_signallings, eventually, fresh_room, guests, run

# From the moment at which the new process is ready until media flows again.
BACK_SECONDS_MAX = 5
MEASURING_SECONDS = 2
AUDIO = ("ann", rtc.TrackKind.KIND_AUDIO)
VIDEO = ("ann", rtc.TrackKind.KIND_VIDEO)


@both_signallings
def test_a_call_goes_on(tmp_path, connections):
    async def test(server):
        async with (
            guests(server.url, fresh_room(), connections, "ann", "ben") as (ann, ben),
            media.tone(ann.room, 1000),
            media.picture(ann.room, (255, 0, 0)),
        ):
            room_sid = await ben.room.sid
            before = [await ben.track(*which) for which in (AUDIO, VIDEO)]
            assert abs((await media.pitch_of(before[0]))[0] - 1000) < 5
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            ready = time.monotonic()
            again = [
                await eventually(lambda which=which, old=old: ben.tracks[which] is not old and ben.tracks[which], 30, f"{which}")
                for which, old in zip((AUDIO, VIDEO), before, strict=True)
            ]
            (hz, loudness), color = await asyncio.gather(media.pitch_of(again[0]), media.color_of(again[1], 5))
            seconds = time.monotonic() - ready - MEASURING_SECONDS
            assert abs(hz - 1000) < 5 and loudness > 500 and media.near(color, (255, 0, 0))
            assert await ben.room.sid == room_sid
            assert seconds < BACK_SECONDS_MAX, f"back after {seconds:.1f} s"
            print(f"back after {seconds:.1f} s")

    with Server(tmp_path / "log", data_dir=str(tmp_path / "data")) as server:
        run(test(server))
