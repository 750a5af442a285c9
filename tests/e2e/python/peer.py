"""A native participant that a test of another language drives.

peer.py URL TOKEN 1|2 [--publish] [--hasty]     1|2: how many peer connections

Publishes a green picture and a tone of 1000 Hz if asked, and reports on every track that it gets as one JSON object a
line: {"identity", "kind", "color"} or {"identity", "kind", "hz", "loudness"}. Further reports: {"event", "identity"} of what
happens to it and to others, {"said", "identity"} of a message. Hasty: its picture is small, and of others' it reports that some
were decoded, {"identity", "kind", "decoded"}.

Each line of its standard input is a request: {"keep_saying": prefix, "seconds"} sends numbered reliable messages, one after
the other, and {"view": n} is reported as {"view": n, "remotes": {identity: sid}}.
Leaves when its standard input ends.
"""

import asyncio
import contextlib
import functools
import itertools
import json
import sys

from livekit import rtc
from livekit.rtc.participant import PublishDataError

import media

GREEN = (0, 255, 0)
HZ = 1000


def say(**report):
    print(json.dumps(report), flush=True)


async def report_on(track, identity, hasty):
    if track.kind == rtc.TrackKind.KIND_AUDIO:
        hz, loudness = await media.pitch_of(track, 1 if hasty else 2)
        say(identity=identity, kind="audio", hz=hz, loudness=loudness)
    elif hasty:
        say(identity=identity, kind="video", decoded=await media.decoded(track, 5))
    else:
        say(identity=identity, kind="video", color=await media.color_of(track))


def report_events(room):
    for name in ("reconnecting", "reconnected", "disconnected"):
        room.on(name, lambda *_, name=name: say(event=name))
    for name in ("participant_connected", "participant_disconnected"):
        room.on(name, lambda who, name=name: say(event=name, identity=who.identity))
    room.on("data_received", lambda packet: say(said=packet.data.decode(), identity=packet.participant and packet.participant.identity))


async def keep_saying(room, prefix, seconds):
    for number in itertools.count():
        with contextlib.suppress(PublishDataError):
            await room.local_participant.publish_data(f"{prefix} {number}", reliable=True)
        await asyncio.sleep(seconds)


async def obey(room):
    read = functools.partial(asyncio.get_running_loop().run_in_executor, None, sys.stdin.readline)
    async with contextlib.AsyncExitStack() as stack:
        while line := await read():
            match json.loads(line):
                case {"keep_saying": prefix, "seconds": seconds}:
                    await stack.enter_async_context(media.running(keep_saying(room, prefix, seconds)))
                case {"view": number}:
                    say(view=number, remotes={who.identity: who.sid for who in room.remote_participants.values()})


async def main(url, token, connections, publishes, hasty):
    room, reports = rtc.Room(), set()

    def on_track(track, _publication, participant):
        task = asyncio.create_task(report_on(track, participant.identity, hasty))
        reports.add(task)

    room.on("track_subscribed", on_track)
    report_events(room)
    await room.connect(url, token, rtc.RoomOptions(single_peer_connection=connections == 1))
    say(joined=room.local_participant.identity)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(room.disconnect)
        if publishes:
            await stack.enter_async_context(media.picture(room, GREEN, *((160, 90, 10) if hasty else ())))
            await stack.enter_async_context(media.tone(room, HZ))
        await obey(room)
        for task in reports:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), "--publish" in sys.argv[4:], "--hasty" in sys.argv[4:]))
