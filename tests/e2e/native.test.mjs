// Browsers and native clients in one room: Python and Node against Chromium, each with one and with two connections.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { startChromium } from './chromium.mjs';
import { disposeNodePeers, joinFromNode } from './node-peer.mjs';
import * as python from './python-peer.mjs';
import { freshRoom, startServer } from './server.mjs';

let server;
let chromium;
const cleanup = [];
before(async () => { [server, chromium] = [await startServer(), await startChromium()]; });
afterEach(async () => { for (const step of cleanup.splice(0).reverse()) await step(); });
after(async () => { await disposeNodePeers(); await chromium?.stop(); await server?.stop(); });

async function joinFromPage(room, identity, options) {
  const tab = await chromium.tab();
  cleanup.push(() => tab.close());
  await tab.call('join', server.url, await server.token(room, identity), options);
  return tab;
}

async function joinFromPython(room, identity, connections, ...more) {
  const peer = await python.joinFromPython(server.url, await server.token(room, identity), identity, connections, ...more);
  cleanup.push(() => peer.end());
  return peer;
}

for (const connections of [1, 2]) {
  describe(`Python with ${connections} peer connection${connections > 1 ? 's' : ''}`, () => {
    const options = { singlePeerConnection: connections === 1 };

    test('Python is seen and heard in Chromium', async () => {
      const room = freshRoom();
      const tab = await joinFromPage(room, 'page', options);
      await joinFromPython(room, 'python', connections, '--publish');
      await tab.subscribed('python', 'camera');
      await tab.frames('python', 'camera', 20);
      await tab.color('python', 'camera', [0, 255, 0]);
      await tab.pitch('python', 1000);
    });

    test('Chromium is seen and heard in Python', async () => {
      const room = freshRoom();
      const tab = await joinFromPage(room, 'page', options);
      await tab.call('publishPicture', '#0000ff');
      await tab.call('publishTone', 1400);
      const python = await joinFromPython(room, 'python', connections);
      const video = await python.report((r) => r.identity === 'page' && r.kind === 'video', 'the picture');
      assert.ok(video.color[0] < 60 && video.color[1] < 60 && video.color[2] > 195, `colour ${video.color}`);
      const audio = await python.report((r) => r.identity === 'page' && r.kind === 'audio', 'the sound');
      assert.ok(Math.abs(audio.hz - 1400) < 5 && audio.loudness > 500, JSON.stringify(audio));
    });
  });
}

test('Node is heard in Chromium', async () => {
  const room = freshRoom();
  const tab = await joinFromPage(room, 'page');
  const peer = await joinFromNode(server.url, await server.token(room, 'node'));
  cleanup.push(() => peer.leave());
  await peer.publishTone(900);
  await tab.subscribed('node', 'microphone');
  await tab.pitch('node', 900);
});
