// RoomService through the published server SDK; its subjects are native participants.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RoomConfiguration, RoomServiceClient } from 'livekit-server-sdk';
import { RoomEvent } from '@livekit/rtc-node';
import { disposeNodePeers, joinFromNode } from './node-peer.mjs';
import { KEY, freshRoom, startServer } from './server.mjs';
import { eventually, pause } from './wait.mjs';

let server;
const peers = [];
before(async () => { server = await startServer(); });
after(async () => {
  for (const peer of peers) await peer.leave().catch(() => {});
  await disposeNodePeers();
  await server?.stop();
});

async function join(room, identity, grant, more) {
  const peer = await joinFromNode(server.url, await server.token(room, identity, grant, more));
  peers.push(peer);
  return peer;
}
const rejectsWith = (promise, code) => assert.rejects(promise, (error) => {
  assert.equal(error.code, code, error.message);
  return true;
});
const bytes = (text) => new TextEncoder().encode(text);
const text = (data) => new TextDecoder().decode(data);

test('create, list, update and delete a room', async () => {
  const name = freshRoom();
  const made = await server.rooms.createRoom({ name, emptyTimeout: 60, maxParticipants: 5, metadata: 'one' });
  assert.deepEqual([made.name, made.emptyTimeout, made.maxParticipants, made.metadata], [name, 60, 5, 'one']);
  const again = await server.rooms.createRoom({ name });
  assert.deepEqual([again.sid, again.maxParticipants], [made.sid, 5], 'creating again changes nothing');
  assert.equal((await server.rooms.updateRoomMetadata(name, 'two')).metadata, 'two');
  assert.deepEqual((await server.rooms.listRooms([name])).map((room) => room.metadata), ['two']);
  await server.rooms.deleteRoom(name);
  assert.deepEqual(await server.rooms.listRooms([name]), []);
  await rejectsWith(server.rooms.deleteRoom(name), 'not_found');
});

test('a foreign secret is refused', async () => {
  const stranger = new RoomServiceClient(server.http, KEY, 'a secret that nobody gave to us, honestly');
  await assert.rejects(stranger.listRooms(), (error) => error.status === 401);
});

test('an empty room goes after its timeout', async () => {
  const name = freshRoom();
  await server.rooms.createRoom({ name, emptyTimeout: 1, departureTimeout: 1 });
  await eventually(async () => (await server.rooms.listRooms([name])).length === 0, 30_000, 'the room to go');
});

test('participants are listed with what their tokens say and what they publish', async () => {
  const name = freshRoom();
  const ann = await join(name, 'ann', {}, { name: 'Ann', metadata: 'm', attributes: { shoe: '38' } });
  await join(name, 'ben');
  const sid = await ann.publishTone(440);
  const listed = await eventually(async () => {
    const all = await server.rooms.listParticipants(name);
    return all.length === 2 && all.some((p) => p.tracks.length === 1) && all;
  }, 8000, 'two participants and a track');
  const info = listed.find((p) => p.identity === 'ann');
  assert.deepEqual([info.name, info.metadata, info.attributes.shoe, info.tracks[0].sid], ['Ann', 'm', '38', sid]);
  assert.equal((await server.rooms.getParticipant(name, 'ben')).identity, 'ben');
  await rejectsWith(server.rooms.getParticipant(name, 'nobody'), 'not_found');
  await eventually(async () => {
    const [room] = await server.rooms.listRooms([name]);
    return room.numParticipants === 2 && room.numPublishers === 1;
  }, 8000, 'the room to count two participants and one publisher');
});

test('an update by the API reaches everybody', async () => {
  const name = freshRoom();
  const [ann, ben] = [await join(name, 'ann'), await join(name, 'ben')];
  const updated = await server.rooms.updateParticipant(name, 'ann', {
    metadata: 'new', name: 'Anna', attributes: { a: '1', b: '2' }, permission: { canPublish: false, canSubscribe: true, canPublishData: true },
  });
  assert.deepEqual([updated.metadata, updated.name, updated.attributes], ['new', 'Anna', { a: '1', b: '2' }]);
  const seen = () => ben.room.remoteParticipants.get('ann');
  await eventually(() => seen()?.metadata === 'new' && seen().name === 'Anna' && seen().attributes.b === '2', 8000, 'ben to see it');
  await eventually(() => ann.room.localParticipant.metadata === 'new', 8000, 'ann to see it');
  const fewer = await server.rooms.updateParticipant(name, 'ann', { attributes: { a: '' } });
  assert.deepEqual([fewer.attributes, fewer.metadata], [{ b: '2' }, 'new'], 'an empty attribute is gone, empty metadata is unchanged');
});

test('mute a published track, subscribe and unsubscribe somebody', async () => {
  const name = freshRoom();
  const [ann, ben] = [await join(name, 'ann'), await join(name, 'ben')];
  const sid = await ann.publishTone(440);
  await ben.event(RoomEvent.TrackSubscribed);
  assert.equal((await server.rooms.mutePublishedTrack(name, 'ann', sid, true)).muted, true);
  await eventually(() => [...ben.room.remoteParticipants.get('ann').trackPublications.values()][0].muted, 8000, 'ben to see it muted');
  await rejectsWith(server.rooms.mutePublishedTrack(name, 'ann', sid, false), 'failed_precondition');
  await server.rooms.updateSubscriptions(name, 'ben', [sid], false);
  await server.rooms.updateSubscriptions(name, 'ben', [sid], true);
  await eventually(async () => (await server.rooms.getParticipant(name, 'ann')).tracks[0].muted, 8000, 'the API to show it muted');
});

test('data from the API: to all, to one, with a topic', async () => {
  const name = freshRoom();
  const [ann, ben] = [await join(name, 'ann'), await join(name, 'ben')];
  await server.rooms.sendData(name, bytes('to all'), 0, { topic: 'news' });
  for (const peer of [ann, ben]) {
    const { values } = await peer.event(RoomEvent.DataReceived, (payload) => text(payload) === 'to all');
    assert.deepEqual([values[1] ?? null, values[3]], [null, 'news'], 'no sender, the topic');
  }
  await server.rooms.sendData(name, bytes('to ben'), 1, { destinationIdentities: ['ben'] });
  await server.rooms.sendData(name, bytes('the end'), 0, {});
  await ben.event(RoomEvent.DataReceived, (payload) => text(payload) === 'to ben');
  await ann.event(RoomEvent.DataReceived, (payload) => text(payload) === 'the end');
  await pause(300);
  assert.ok(!ann.events.some((e) => e.name === RoomEvent.DataReceived && text(e.values[0]) === 'to ben'), 'ann got what was for ben');
});

test('a removed participant is told and gone, and so are all when the room is deleted', async () => {
  const name = freshRoom();
  const [ann, ben] = [await join(name, 'ann'), await join(name, 'ben')];
  await server.rooms.removeParticipant(name, 'ann');
  await ann.event(RoomEvent.Disconnected);
  await ben.event(RoomEvent.ParticipantDisconnected);
  await rejectsWith(server.rooms.removeParticipant(name, 'ann'), 'not_found');
  await server.rooms.deleteRoom(name);
  await ben.event(RoomEvent.Disconnected);
  assert.deepEqual(await server.rooms.listRooms([name]), []);
});

test('the first token configures the room', async () => {
  const name = freshRoom();
  const roomConfig = new RoomConfiguration({ emptyTimeout: 77, maxParticipants: 3, metadata: 'by token' });
  await join(name, 'ann', {}, { roomConfig });
  const [room] = await server.rooms.listRooms([name]);
  assert.deepEqual([room.emptyTimeout, room.maxParticipants, room.metadata], [77, 3, 'by token']);
});
