// ForwardParticipant: a participant of one room seen and heard in another, through the published SDKs.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { RoomEvent } from '@livekit/rtc-node';
import { startChromium } from './chromium.mjs';
import { disposeNodePeers, joinFromNode } from './node-peer.mjs';
import { freshRoom, isReference, startServer } from './server.mjs';
import { eventually, pause } from './wait.mjs';

const FORWARDED = 1; // ParticipantInfo.KindDetail

let chromium;
const [tabs, peers] = [[], []];
before(async () => { chromium = await startChromium(); });
afterEach(async () => {
  for (const tab of tabs.splice(0)) await tab.close();
  for (const peer of peers.splice(0)) await peer.leave().catch(() => {});
});
after(async () => { await chromium?.stop(); await disposeNodePeers(); });

// Two workers, every participant on the next one: tracks cross workers as well as rooms.
for (const [where, workers] of [['one worker', undefined], ['two workers', 'own']]) {
  describe(where, { skip: isReference }, () => {
    let server;
    before(async () => { server = await startServer('', { workers }); });
    after(async () => { await server?.stop(); });

    async function join(room, identity, options = {}, more = {}) {
      const tab = await chromium.tab();
      tabs.push(tab);
      await tab.call('join', server.url, await server.token(room, identity, {}, more), options);
      return tab;
    }
    const rooms = () => [freshRoom('stage'), freshRoom('hall')];

    test('picture, sound, changes and the end', async () => {
      const [stage, hall] = rooms();
      const ann = await join(stage, 'ann', {}, { name: 'Ann', metadata: 'm', attributes: { shoe: '38' } });
      await ann.call('publishPicture', '#ff0000');
      await server.rooms.forwardParticipant(stage, 'ann', hall);
      await server.rooms.forwardParticipant(stage, 'ann', hall);
      // two PeerConnections, one, and the native client
      const [dual, single] = [await join(hall, 'dual', { singlePeerConnection: false }), await join(hall, 'single', { singlePeerConnection: true })];
      const native = await joinFromNode(server.url, await server.token(hall, 'native'));
      peers.push(native);
      for (const tab of [dual, single]) {
        const { remotes } = await tab.sees('ann');
        assert.deepEqual([remotes.ann.name, remotes.ann.metadata, remotes.ann.attributes], ['Ann', 'm', { shoe: '38' }]);
        await tab.frames('ann', 'camera', 30);
        await tab.color('ann', 'camera', [255, 0, 0]);
      }
      await native.event(RoomEvent.TrackSubscribed, (_, publication, participant) => participant.identity === 'ann');
      // what comes later
      await ann.call('publishTone', 800);
      for (const tab of [dual, single]) await tab.pitch('ann', 800);
      const info = await server.rooms.getParticipant(hall, 'ann');
      assert.deepEqual([info.kindDetails, info.tracks.length, info.isPublisher], [[FORWARDED], 2, true]);
      assert.notEqual(info.sid, (await server.rooms.getParticipant(stage, 'ann')).sid);
      await ann.call('setMuted', 'camera', true);
      await dual.until('remoteTrack', ['ann', 'camera'], (track) => track.muted, 'the camera to be muted');
      await pause(300);
      const muted = (await dual.call('inbound', 'ann', 'camera')).frames;
      await pause(1000);
      assert.equal((await dual.call('inbound', 'ann', 'camera')).frames, muted);
      await ann.call('setMuted', 'camera', false);
      await dual.frames('ann', 'camera', 15);
      await server.rooms.updateParticipant(stage, 'ann', { metadata: 'changed' });
      await dual.until('view', [], (view) => view.remotes.ann?.metadata === 'changed', 'the new metadata');
      await ann.call('unpublish', 'camera');
      await eventually(async () => (await single.call('remoteTrack', 'ann', 'camera')) === null, 8000, 'the camera to go');
      await ann.call('leave');
      for (const tab of [dual, single]) await tab.missesSoon('ann');
      await native.event(RoomEvent.ParticipantDisconnected, (participant) => participant.identity === 'ann');
    });

    test('the room that shows it can end it; the stage goes on; it comes again', async () => {
      const [stage, hall] = rooms();
      const [ann, near] = [await join(stage, 'ann'), await join(stage, 'near')];
      const far = await join(hall, 'far');
      await ann.call('publishPicture', '#00ff00');
      for (let round = 0; round < 2; round++) {
        await server.rooms.forwardParticipant(stage, 'ann', hall);
        await far.frames('ann', 'camera', 15);
        await far.color('ann', 'camera', [0, 255, 0]);
        await server.rooms.removeParticipant(hall, 'ann');
        await far.missesSoon('ann');
        await near.frames('ann', 'camera', 15);
      }
      assert.equal((await ann.call('view')).state, 'connected');
      await assert.rejects(server.rooms.forwardParticipant(stage, 'nobody', hall), (error) => error.code === 'not_found');
    });

    test('a data track crosses', async () => {
      const [stage, hall] = rooms();
      const [ann, far] = [await join(stage, 'ann'), await join(hall, 'far')];
      await server.rooms.forwardParticipant(stage, 'ann', hall);
      await ann.call('publishDataTrack', 'd');
      const { publisher } = await far.until('remoteDataTrack', ['d'], () => true, 'the data track');
      assert.equal(publisher, 'ann');
      await far.call('readDataTrack', 'd');
      // the subscription has no acknowledgement in the page: frames until the first one comes
      for (let tries = 0; (await far.call('dataFrames', 'd')).length === 0; tries++) {
        assert.ok(tries < 100, 'no frame came');
        await ann.call('pushFrames', 'd', 0, 1, 1000, 50);
      }
      await ann.call('pushFrames', 'd', 1000, 30, 1000, 20);
      await far.until('dataFrames', ['d'], (all) => all.filter(({ number, whole }) => number >= 1000 && whole).length >= 25, 'the frames');
    });
  });
}
