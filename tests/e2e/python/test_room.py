"""The native client and the server API, both as published for Python."""

import asyncio
import contextlib
import json
import uuid

import pytest
from livekit import api, rtc

import media
from conftest import KEY, SECRET

RED = (255, 0, 0)
BLUE = (0, 0, 255)
both_signallings = pytest.mark.parametrize("connections", [1, 2], ids=["one_connection", "two_connections"])


def fresh_room():
    return f"python-{uuid.uuid4().hex[:8]}"


def token(room, identity, **grants):
    grant = api.VideoGrants(room_join=True, room=room, **grants)
    return api.AccessToken(KEY, SECRET).with_identity(identity).with_name(identity.title()).with_grants(grant).to_jwt()


async def eventually(probe, seconds, what):
    async with asyncio.timeout(seconds):
        while not (found := probe()):
            await asyncio.sleep(0.05)
    assert found, what
    return found


class Guest:
    """A participant; remembers the tracks that it got and the events that it saw."""

    def __init__(self):
        self.room, self.tracks, self.data, self.gone = rtc.Room(), {}, [], asyncio.Event()
        self.room.on("track_subscribed", lambda track, _, who: self.tracks.__setitem__((who.identity, track.kind), track))
        self.room.on("data_received", self.data.append)
        self.room.on("disconnected", lambda *_: self.gone.set())

    async def track(self, identity, kind):
        return await eventually(lambda: self.tracks.get((identity, kind)), 15, f"a track of {identity}")


@contextlib.asynccontextmanager
async def guests(url, room, connections, *identities):
    async with contextlib.AsyncExitStack() as stack:
        joined = []
        for identity in identities:
            guest = Guest()
            await guest.room.connect(url, token(room, identity), rtc.RoomOptions(single_peer_connection=connections == 1))
            stack.push_async_callback(guest.room.disconnect)
            joined.append(guest)
        yield joined


def run(test):
    return asyncio.run(asyncio.wait_for(test, 80))


@both_signallings
def test_two_see_each_other(server, connections):
    async def test():
        async with guests(server, fresh_room(), connections, "ann", "ben") as (ann, ben):
            await eventually(lambda: "ben" in ann.room.remote_participants, 10, "ben")
            assert ben.room.remote_participants["ann"].name == "Ann"
            await ben.room.disconnect()
            await eventually(lambda: not ann.room.remote_participants, 10, "ben to leave")

    run(test())


@both_signallings
def test_a_tone_is_heard(server, connections):
    async def test():
        async with guests(server, fresh_room(), connections, "ann", "ben") as (ann, ben), media.tone(ann.room, 1000):
            hz, loudness = await media.pitch_of(await ben.track("ann", rtc.TrackKind.KIND_AUDIO), seconds=3)
            assert abs(hz - 1000) < 5
            assert loudness > 500

    run(test())


@both_signallings
def test_pictures_both_ways(server, connections):
    async def test():
        async with guests(server, fresh_room(), connections, "ann", "ben") as (ann, ben):
            async with media.picture(ann.room, RED), media.picture(ben.room, BLUE):
                at_ben = await media.color_of(await ben.track("ann", rtc.TrackKind.KIND_VIDEO))
                at_ann = await media.color_of(await ann.track("ben", rtc.TrackKind.KIND_VIDEO))
        assert media.near(at_ben, RED), at_ben
        assert media.near(at_ann, BLUE), at_ann

    run(test())


@both_signallings
def test_a_published_track_ends(server, connections):
    async def test():
        async with guests(server, fresh_room(), connections, "ann", "ben") as (ann, ben), media.tone(ann.room, 500) as publication:
            await ben.track("ann", rtc.TrackKind.KIND_AUDIO)
            await ann.room.local_participant.unpublish_track(publication.sid)
            await eventually(lambda: not ben.room.remote_participants["ann"].track_publications, 10, "the track to go")

    run(test())


def test_rooms_by_the_api(server):
    async def test():
        name = fresh_room()
        async with api.LiveKitAPI(server.replace("ws", "http", 1), KEY, SECRET) as livekit:
            made = await livekit.room.create_room(api.CreateRoomRequest(name=name, empty_timeout=30, max_participants=4, metadata="m"))
            assert (made.name, made.max_participants, made.metadata) == (name, 4, "m")
            listed = await livekit.room.list_rooms(api.ListRoomsRequest(names=[name]))
            assert [room.sid for room in listed.rooms] == [made.sid]
            await livekit.room.delete_room(api.DeleteRoomRequest(room=name))
            with pytest.raises(api.TwirpError) as error:
                await livekit.room.update_room_metadata(api.UpdateRoomMetadataRequest(room=name, metadata="x"))
            assert error.value.code == "not_found"

    run(test())


def test_data_and_removal_by_the_api(server):
    async def test():
        name = fresh_room()
        async with guests(server, name, 1, "ann") as (ann,), api.LiveKitAPI(server.replace("ws", "http", 1), KEY, SECRET) as livekit:
            payload = json.dumps({"hello": "ann"}).encode()
            await livekit.room.send_data(api.SendDataRequest(room=name, data=payload, kind=0, topic="t"))
            packet = (await eventually(lambda: ann.data, 10, "the data"))[0]
            assert (packet.data, packet.topic, packet.participant) == (payload, "t", None)
            await livekit.room.remove_participant(api.RoomParticipantIdentity(room=name, identity="ann"))
            await asyncio.wait_for(ann.gone.wait(), 10)

    run(test())


def test_a_bad_token_is_refused(server):
    async def test():
        with pytest.raises(rtc.ConnectError):
            await rtc.Room().connect(server, "xyz")

    run(test())


@both_signallings
def test_a_forwarded_participant_is_seen_and_heard_elsewhere(server, connections):
    async def test():
        stage, hall = fresh_room(), fresh_room()
        async with (
            guests(server, stage, connections, "ann") as (ann,),
            guests(server, hall, connections, "ben") as (ben,),
            api.LiveKitAPI(server.replace("ws", "http", 1), KEY, SECRET) as livekit,
            media.picture(ann.room, RED),
            media.tone(ann.room, 700),
        ):
            request = api.ForwardParticipantRequest(room=stage, identity="ann", destination_room=hall)
            await livekit.room.forward_participant(request)
            color = await media.color_of(await ben.track("ann", rtc.TrackKind.KIND_VIDEO))
            hz, loudness = await media.pitch_of(await ben.track("ann", rtc.TrackKind.KIND_AUDIO), seconds=3)
            assert media.near(color, RED), color
            assert abs(hz - 700) < 5 and loudness > 500
            assert ben.room.remote_participants["ann"].name == "Ann"
            await ann.room.disconnect()
            await eventually(lambda: not ben.room.remote_participants, 10, "ann to leave the hall")

    run(test())
