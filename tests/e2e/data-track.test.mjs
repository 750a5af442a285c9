// Data tracks between two pages.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { startChromium } from './chromium.mjs';
import { freshRoom, startServer } from './server.mjs';

let server;
let chromium;
const tabs = [];
before(async () => { [server, chromium] = [await startServer(), await startChromium()]; });
afterEach(async () => { for (const tab of tabs.splice(0)) await tab.close(); });
after(async () => { await chromium?.stop(); await server?.stop(); });

async function join(room, identity, options, grant) {
  const tab = await chromium.tab();
  tabs.push(tab);
  await tab.call('join', server.url, await server.token(room, identity, grant), options);
  return tab;
}

for (const [signalling, singlePeerConnection] of [['v0, two connections', false], ['v1, one connection', true]]) {
  describe(signalling, () => {
    const options = { singlePeerConnection };

    test('frames of one packet and of many reach those who read them', async () => {
      const room = freshRoom();
      const [ann, ben] = [await join(room, 'ann', options), await join(room, 'ben', options)];
      const small = await ann.call('publishDataTrack', 'small');
      await ann.call('publishDataTrack', 'large');
      assert.match(small.sid, /^DTR_/);
      const seen = await ben.until('remoteDataTrack', ['small'], () => true, 'the data track to appear');
      assert.deepEqual(seen, { sid: small.sid, publisher: 'ann' });
      await ben.until('remoteDataTrack', ['large'], () => true, 'the second data track to appear');
      await ben.call('readDataTrack', 'small');
      await ben.call('readDataTrack', 'large');
      // the subscription has no acknowledgement in the page: frames until the first one comes
      // nothing is repaired, so a frame may be lost where the machine is busy; none comes in part
      for (const [name, bytes] of [['small', 100], ['large', 40_000]]) {
        for (let tries = 0; (await ben.call('dataFrames', name)).length === 0; tries++) {
          assert.ok(tries < 100, `no frame of ${name} came`);
          await ann.call('pushFrames', name, 0, 1, bytes, 50);
        }
        await ann.call('pushFrames', name, 1000, 30, bytes, 50);
        const counted = await ben.until('dataFrames', [name], (all) => all.filter(({ number }) => number >= 1000).length >= 25, `frames of ${name}`)
          .then((all) => all.filter(({ number }) => number >= 1000));
        const numbers = counted.map(({ number }) => number);
        assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b));
        assert.ok(counted.every((frame) => frame.whole && frame.bytes === bytes));
        assert.ok(counted.every((frame) => frame.timestamp === frame.number), 'extensions come through');
      }
    });

    test('one who comes later sees it; it ends for all', async () => {
      const room = freshRoom();
      const ann = await join(room, 'ann', options);
      await ann.call('publishDataTrack', 'pose');
      assert.deepEqual(await ann.call('tryPublishDataTrack', 'pose'), { refused: 'DuplicateName' });
      const ben = await join(room, 'ben', options);
      await ben.until('remoteDataTrack', ['pose'], () => true, 'the data track in the join');
      await ann.call('unpublishDataTrack', 'pose');
      await ben.event('dataTrackUnpublished');
      const again = await ann.call('publishDataTrack', 'pose');
      await ben.until('remoteDataTrack', ['pose'], ({ sid }) => sid === again.sid, 'the next one of that name');
      await server.rooms.updateParticipant(room, 'ann', { permission: { canPublish: true, canSubscribe: true, canPublishData: false } });
      await ann.until('isDataTrackPublished', ['pose'], (published) => !published, 'the withdrawn track to end');
      assert.deepEqual(await ann.call('tryPublishDataTrack', 'other'), { refused: 'NotAllowed' });
    });
  });
}
