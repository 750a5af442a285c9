// Browsers and native clients in one room: Python and Node against Chromium, each with one and with two connections.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import readline from 'node:readline';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startChromium } from './chromium.mjs';
import { disposeNodePeers, joinFromNode } from './node-peer.mjs';
import { freshRoom, startServer } from './server.mjs';
import { eventually } from './wait.mjs';

const PYTHON = process.env.E2E_PYTHON ?? fileURLToPath(new URL('../../target/tools/venv/bin/python', import.meta.url));
const PEER = fileURLToPath(new URL('python/peer.py', import.meta.url));

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
  const child = spawn(PYTHON, [PEER, server.url, await server.token(room, identity), String(connections), ...more], { stdio: ['pipe', 'pipe', 'pipe'] });
  const peer = { reports: [], errors: '' };
  const exited = new Promise((resolve) => child.once('exit', resolve));
  readline.createInterface({ input: child.stdout }).on('line', (line) => peer.reports.push(JSON.parse(line)));
  child.stderr.setEncoding('utf8').on('data', (text) => { peer.errors = (peer.errors + text).slice(-4000); });
  cleanup.push(async () => {
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), 8000);
    await exited;
    clearTimeout(timer);
  });
  peer.report = (test_, what, ms = 30_000) => eventually(() => peer.reports.find(test_), ms, what).catch((error) => {
    throw new Error(`${error.message}; reports: ${JSON.stringify(peer.reports)}; ${peer.errors}`);
  });
  await peer.report((r) => r.joined === identity, `${identity} to join`);
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
