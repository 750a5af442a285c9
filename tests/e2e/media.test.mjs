// Picture and sound between two pages: seen as decoded frames and colours, heard as frequencies.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { startChromium } from './chromium.mjs';
import { freshRoom, startServer } from './server.mjs';
import { eventually, pause } from './wait.mjs';

let server;
let chromium;
const tabs = [];
before(async () => { [server, chromium] = [await startServer(), await startChromium()]; });
afterEach(async () => { for (const tab of tabs.splice(0)) await tab.close(); });
after(async () => { await chromium?.stop(); await server?.stop(); });

async function join(room, identity, options, connect) {
  const tab = await chromium.tab();
  tabs.push(tab);
  await tab.call('join', server.url, await server.token(room, identity), options, connect);
  return tab;
}
async function pair(options, connect) {
  const room = freshRoom();
  const both = [await join(room, 'ann', options), await join(room, 'ben', options, connect)];
  await both[0].sees('ben');
  return both;
}
// Frames of ann that a page decodes in a while.
async function framesIn(tab, source, ms) {
  const start = await tab.call('inbound', 'ann', source);
  await pause(ms);
  return (await tab.call('inbound', 'ann', source)).frames - start.frames;
}

for (const [signalling, singlePeerConnection] of [['v0, two connections', false], ['v1, one connection', true]]) {
  describe(signalling, () => {
    const options = { singlePeerConnection };

    test('picture and sound both ways', async () => {
      const [ann, ben] = await pair(options);
      await ann.call('publishPicture', '#ff0000');
      await ann.call('publishTone', 800);
      await ben.call('publishPicture', '#0000ff');
      await ben.call('publishTone', 1200);
      await ben.subscribed('ann', 'camera');
      await ben.frames('ann', 'camera', 30);
      await ben.color('ann', 'camera', [255, 0, 0]);
      await ben.pitch('ann', 800);
      await ann.frames('ben', 'camera', 30);
      await ann.color('ben', 'camera', [0, 0, 255]);
      await ann.pitch('ben', 1200);
      const connections = singlePeerConnection ? 1 : 2;
      assert.deepEqual([(await ann.call('view')).connections, (await ben.call('view')).connections], [connections, connections]);
    });

    test('microphone, then a camera in three layers: none is mistaken for another', async () => {
      const [ann, ben] = await pair(options);
      await ann.call('publishTone', 900);
      await ben.pitch('ann', 900);
      await ann.call('publishPicture', '#00ff00', { simulcast: true, videoCodec: 'vp8' }, 1280, 720, 15);
      await ben.frames('ann', 'camera', 45, 30_000);
      await ben.color('ann', 'camera', [0, 255, 0]);
      const layers = await ann.until('remoteInbound', ['camera'], (seen) => seen.length === 3, 'a report of each layer', 20_000);
      assert.deepEqual(layers.map(({ lost }) => lost), [0, 0, 0]);
    });

    test('camera in three layers, and microphone', async () => {
      const [ann, ben] = await pair(options);
      const sids = await ann.call('publishDevices', { simulcast: true, videoCodec: 'vp8' });
      const camera = await ben.subscribed('ann', 'camera');
      assert.deepEqual([camera.sid, camera.simulcast], [sids.camera, true]);
      assert.equal((await ann.call('outbound', 'camera')).length, 3);
      await ben.frames('ann', 'camera', 45, 30_000);
      await ben.subscribed('ann', 'microphone');
      await ben.until('inbound', ['ann', 'microphone'], (stats) => stats.packets > 50 && stats.energy > 0, 'sound');
    });

    test('mute and unmute', async () => {
      const [ann, ben] = await pair(options);
      await ann.call('publishPicture', '#00ff00');
      await ann.call('publishTone', 700);
      await ben.frames('ann', 'camera', 10);
      await ben.pitch('ann', 700);
      for (const source of ['camera', 'microphone']) {
        await ann.call('setMuted', source, true);
        await ben.until('remoteTrack', ['ann', source], (track) => track.muted, `${source} to be muted`);
        await ann.call('setMuted', source, false);
        await ben.until('remoteTrack', ['ann', source], (track) => !track.muted, `${source} to be unmuted`);
      }
      await ben.frames('ann', 'camera', 15);
      await ben.pitch('ann', 700);
    });

    test('unpublish, then publish another', async () => {
      const [ann, ben] = await pair(options);
      const first = await ann.call('publishPicture', '#ff0000');
      await ben.frames('ann', 'camera', 10);
      await ann.call('unpublish', 'camera');
      await ben.event('trackUnsubscribed', { identity: 'ann' });
      await ben.event('trackUnpublished', { identity: 'ann', sid: first });
      const second = await ann.call('publishPicture', '#00ff00');
      assert.notEqual(second, first);
      await ben.until('remoteTrack', ['ann', 'camera'], (track) => track.sid === second && track.subscribed, 'the second track');
      await ben.frames('ann', 'camera', 10);
      await ben.color('ann', 'camera', [0, 255, 0]);
    });

    test('unsubscribe and subscribe again', async () => {
      const [ann, ben] = await pair(options);
      await ann.call('publishPicture', '#ff0000');
      await ben.frames('ann', 'camera', 10);
      for (let round = 0; round < 2; round++) {
        const from = await ben.call('eventCount');
        await ben.call('setSubscribed', 'ann', 'camera', false);
        await ben.event('trackUnsubscribed', { identity: 'ann' }, from);
        await ben.call('setSubscribed', 'ann', 'camera', true);
        await ben.subscribed('ann', 'camera');
        await ben.frames('ann', 'camera', 10);
        await ben.color('ann', 'camera', [255, 0, 0]);
      }
    });

    test('without auto-subscribe nothing comes unasked', async () => {
      const [ann, ben] = await pair(options, { autoSubscribe: false });
      await ann.call('publishPicture', '#ff0000');
      await ben.until('remoteTrack', ['ann', 'camera'], () => true, 'the publication');
      await pause(1500);
      assert.equal((await ben.call('remoteTrack', 'ann', 'camera')).subscribed, false);
      await ben.call('setSubscribed', 'ann', 'camera', true);
      await ben.subscribed('ann', 'camera');
      await ben.frames('ann', 'camera', 10);
    });

    test('disable and enable', async () => {
      const [ann, ben] = await pair(options);
      await ann.call('publishPicture', '#ff0000');
      await ben.frames('ann', 'camera', 10);
      await ben.call('setEnabled', 'ann', 'camera', false);
      await eventually(async () => (await framesIn(ben, 'camera', 1000)) === 0, 15_000, 'the picture to stop');
      await ben.call('setEnabled', 'ann', 'camera', true);
      await ben.frames('ann', 'camera', 10);
    });

    test('a screen beside a camera', async () => {
      const [ann, ben] = await pair(options);
      await ann.call('publishPicture', '#ff0000');
      const sid = await ann.call('shareScreen');
      assert.equal((await ben.subscribed('ann', 'screen_share')).sid, sid);
      const screen = await ben.frames('ann', 'screen_share', 5, 30_000);
      assert.ok(screen.width >= 320, `width ${screen.width}`);
      await ben.frames('ann', 'camera', 10);
      await ben.color('ann', 'camera', [255, 0, 0]);
    });
  });
}

test('a page with one connection and one with two', async () => {
  const room = freshRoom();
  const ann = await join(room, 'ann', { singlePeerConnection: true });
  const ben = await join(room, 'ben', { singlePeerConnection: false });
  await ann.call('publishPicture', '#ff0000');
  await ben.call('publishPicture', '#0000ff');
  await ben.color('ann', 'camera', [255, 0, 0], 20_000);
  await ann.color('ben', 'camera', [0, 0, 255], 20_000);
});

test('three at once: everybody sees and hears everybody', async () => {
  const room = freshRoom();
  const people = { ann: ['#ff0000', [255, 0, 0], 600], ben: ['#00ff00', [0, 255, 0], 900], cat: ['#0000ff', [0, 0, 255], 1300] };
  const tabsOf = {};
  for (const identity of Object.keys(people)) tabsOf[identity] = await join(room, identity);
  await Promise.all(Object.entries(people).map(async ([identity, [color, , hz]]) => {
    await tabsOf[identity].call('publishPicture', color, { simulcast: false }, 320, 180, 10);
    await tabsOf[identity].call('publishTone', hz);
  }));
  for (const [watcher, tab] of Object.entries(tabsOf)) {
    for (const [identity, [, rgb, hz]] of Object.entries(people)) {
      if (identity === watcher) continue;
      await tab.color(identity, 'camera', rgb, 20_000);
      await tab.pitch(identity, hz);
    }
  }
});

describe('codecs', () => {
  const video = { vp8: { simulcast: false }, h264: { simulcast: false }, vp9: { scalabilityMode: 'L1T1' }, av1: { scalabilityMode: 'L1T1' } };
  for (const [codec, publish] of Object.entries(video)) {
    test(codec, { timeout: 90_000 }, async () => {
      const [ann, ben] = await pair();
      await ann.call('publishPicture', '#ff0000', { videoCodec: codec, backupCodec: false, ...publish });
      await ben.subscribed('ann', 'camera');
      const stats = await ben.frames('ann', 'camera', 20, 40_000);
      assert.equal(stats.codec.toLowerCase(), `video/${codec}`);
      assert.equal((await ben.call('remoteTrack', 'ann', 'camera')).mime.toLowerCase(), `video/${codec}`);
      await ben.color('ann', 'camera', [255, 0, 0]);
    });
  }

  for (const red of [true, false]) {
    test(`opus ${red ? 'with' : 'without'} redundancy`, async () => {
      const [ann, ben] = await pair();
      await ann.call('publishTone', 1000, { red });
      await ben.pitch('ann', 1000);
      assert.match((await ben.call('inbound', 'ann', 'microphone')).codec, red ? /red|opus/i : /opus/i);
    });
  }
});
