// A restart in the middle of a call: whoever is there comes back by itself, to the same room.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { startChromium } from './chromium.mjs';
import { joinFromPython } from './python-peer.mjs';
import { freshRoom, isReference, startServer } from './server.mjs';

// From the moment at which the new process is ready until media flows again.
const BACK_MS_MAX = 5000;
// What the native client takes to tell a tone.
const MEASURING_MS = 1000;

let server;
let chromium;
const cleanup = [];
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sluicegate-restart-'));
before(async () => { [server, chromium] = [await startServer(`data_dir: ${directory}`), await startChromium()]; });
afterEach(async () => { for (const step of cleanup.splice(0).reverse()) await step(); });
after(async () => {
  await chromium?.stop();
  await server?.stop();
  fs.rmSync(directory, { recursive: true });
});

async function joinFromPage(room, identity, options) {
  const tab = await chromium.tab();
  cleanup.push(() => tab.close());
  await tab.call('join', server.url, await server.token(room, identity), options);
  return tab;
}

for (const connections of [1, 2]) {
  describe(`${connections} peer connection${connections > 1 ? 's' : ''}`, { skip: isReference }, () => {
    for (const how of ['SIGTERM', 'SIGKILL']) {
      test(`a page and a native client go on after ${how}`, async () => {
        const room = freshRoom();
        await server.rooms.createRoom({ name: room, metadata: 'a call' });
        const listed = await server.roomAsListed(room);
        const tab = await joinFromPage(room, 'page', { singlePeerConnection: connections === 1 });
        await tab.call('publishPicture', '#0000ff');
        await tab.call('publishTone', 1400);
        const token = await server.token(room, 'python');
        const python = await joinFromPython(server.url, token, 'python', connections, '--publish', '--hasty');
        cleanup.push(() => python.end());
        const hears = (kind, from) => python.report((r) => r.identity === 'page' && r.kind === kind, `${kind} in Python`, { from });
        await Promise.all([tab.frames('python', 'camera'), tab.pitch('python', 1000), hears('video', 0), hears('audio', 0)]);

        const [sid, from] = [(await tab.call('view')).remotes.python.sid, python.reports.length];
        server.child.kill(how);
        await server.exited;
        await server.start();
        const ready = Date.now();
        assert.deepEqual(await server.roomAsListed(room), listed);
        const seen = tab.until('view', [], (view) => ![undefined, sid].includes(view.remotes.python?.sid), 'Python to come back', 30_000)
          .then(() => Promise.all([tab.frames('python', 'camera', 5), tab.pitch('python', 1000)]))
          .then(() => Date.now() - ready);
        const heard = Promise.all([hears('video', from), hears('audio', from)]).then(() => Date.now() - ready - MEASURING_MS);
        const [seenMs, heardMs] = await Promise.all([seen, heard]);
        console.log(`${how}, ${connections}: back in Chromium after ${seenMs} ms, in Python after ${heardMs} ms`);
        assert.ok(seenMs < BACK_MS_MAX && heardMs < BACK_MS_MAX, `back after ${seenMs} and ${heardMs} ms`);
      });
    }
  });
}
