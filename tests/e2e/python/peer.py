"""A native participant that a test of another language drives.

peer.py URL TOKEN 1|2 [--publish]     1|2: how many peer connections

Publishes a green picture and a tone of 1000 Hz if asked, and reports on every track that it gets as one JSON object a
line: {"identity", "kind", "color"} or {"identity", "kind", "hz", "loudness"}. Leaves when its standard input ends.
"""

import asyncio
import contextlib
import json
import sys

from livekit import rtc

import media

GREEN = (0, 255, 0)
HZ = 1000


def say(**report):
    print(json.dumps(report), flush=True)


async def report_on(track, identity):
    if track.kind == rtc.TrackKind.KIND_VIDEO:
        say(identity=identity, kind="video", color=await media.color_of(track))
    else:
        hz, loudness = await media.pitch_of(track)
        say(identity=identity, kind="audio", hz=hz, loudness=loudness)


async def main(url, token, connections, publishes):
    room, reports = rtc.Room(), set()

    def on_track(track, _publication, participant):
        task = asyncio.create_task(report_on(track, participant.identity))
        reports.add(task)

    room.on("track_subscribed", on_track)
    await room.connect(url, token, rtc.RoomOptions(single_peer_connection=connections == 1))
    say(joined=room.local_participant.identity)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(room.disconnect)
        if publishes:
            await stack.enter_async_context(media.picture(room, GREEN))
            await stack.enter_async_context(media.tone(room, HZ))
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        for task in reports:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), "--publish" in sys.argv[4:]))
