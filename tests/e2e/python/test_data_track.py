"""Data tracks between two native clients."""

import asyncio
import contextlib
import itertools

import pytest
from livekit import rtc

from test_room import both_signallings, eventually, fresh_room, guests, run

FRAMES = 20


async def read(stream, frames):
    async for frame in stream:
        frames.append(frame)


def number(frame):
    return int.from_bytes(frame.payload[:2], "big")


def frame(index, size):
    head = index.to_bytes(2, "big")
    return rtc.DataTrackFrame(payload=head + bytes([index & 255]) * (size - 2), user_timestamp=index)


@both_signallings
@pytest.mark.parametrize("size", [50, 40_000], ids=["one_packet", "many_packets"])
def test_frames_reach_the_reader(server, connections, size):
    async def test():
        async with guests(server, fresh_room(), connections, "ann", "ben") as (ann, ben):
            seen, gone = [], []
            ben.room.on("data_track_published", seen.append)
            ben.room.on("data_track_unpublished", gone.append)
            await eventually(lambda: "ben" in ann.room.remote_participants, 10, "ben")
            track = await ann.room.local_participant.publish_data_track(name="pose")
            await eventually(lambda: seen, 10, "the data track")
            assert (seen[0].info.sid, seen[0].info.name, seen[0].publisher_identity) == (track.info.sid, "pose", "ann")
            frames = []
            stream = seen[0].subscribe(buffer_size=64)
            reading = asyncio.create_task(read(stream, frames))
            async with asyncio.timeout(20):
                # the subscription is on its way: frames until the first one comes
                while not frames:
                    track.try_push(frame(0, size))
                    await asyncio.sleep(0.1)
                # nothing is repaired, so some are lost where the machine is busy; none comes in part
                for index in itertools.count(1000):
                    counted = [f for f in frames if number(f) >= 1000]
                    if len(counted) >= FRAMES:
                        break
                    track.try_push(frame(index, size))
                    await asyncio.sleep(0.1)
            assert [number(f) for f in counted] == sorted({number(f) for f in counted})
            assert all(f.payload == frame(number(f), size).payload and f.user_timestamp == number(f) for f in counted)
            await track.unpublish()
            await eventually(lambda: gone, 10, "the end of the data track")
            assert gone == [track.info.sid]
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    run(test())
