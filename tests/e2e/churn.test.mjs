// 200 joins and leaves; afterwards every kind of live object is back at its base.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { startChromium } from './chromium.mjs';
import { disposeNodePeers, joinFromNode } from './node-peer.mjs';
import { freshRoom, isReference, startServer } from './server.mjs';
import { eventually, pause } from './wait.mjs';

const PAGE_JOINS = 100;
const NODE_JOINS = 100;
const NODE_JOINS_AT_ONCE = 5;
const SETTLE_MS_MAX = 60_000;

let server;
let chromium;
before(async () => { [server, chromium] = [await startServer(), await startChromium()]; });
after(async () => { await disposeNodePeers(); await chromium?.stop(); await server?.stop(); });

const live = async () => Object.fromEntries(await server.metric('sluicegate_live'));

// Two readings a second apart that agree: a join goes on for a moment after the client says that it has joined.
async function settledLive() {
  let settled = await live();
  await eventually(async () => {
    const earlier = settled;
    await pause(1000);
    settled = await live();
    return isDeepStrictEqual(earlier, settled);
  }, 20_000, 'the live objects to settle');
  return settled;
}

async function churnFromPage(room) {
  const tokens = [];
  for (let i = 0; i < PAGE_JOINS; i++) tokens.push(await server.token(room, `page-${i}`));
  const tab = await chromium.tab();
  tab.page.setDefaultTimeout(180_000);
  assert.equal(await tab.call('churn', server.url, tokens), PAGE_JOINS);
  await tab.close();
}

async function churnFromNode(room) {
  for (let i = 0; i < NODE_JOINS; i += NODE_JOINS_AT_ONCE) {
    const numbers = Array.from({ length: NODE_JOINS_AT_ONCE }, (_, n) => i + n);
    await Promise.all(numbers.map(async (n) => {
      const peer = await joinFromNode(server.url, await server.token(room, `node-${n}`));
      if (n % 10 === 0) await peer.publishTone(500);
      await peer.leave();
    }));
  }
}

test('live objects after 200 joins and leaves', { timeout: 300_000 }, async (t) => {
  const room = freshRoom('churn');
  await server.rooms.createRoom({ name: room, emptyTimeout: 300, departureTimeout: 300 });
  const watcher = await joinFromNode(server.url, await server.token(room, 'watcher'));
  const base = await settledLive();
  await churnFromPage(room);
  await churnFromNode(room);
  await eventually(async () => (await server.rooms.listParticipants(room)).length === 1, 30_000, 'only the watcher to be left');
  await eventually(() => watcher.room.remoteParticipants.size === 0, 30_000, 'the watcher to see nobody');
  if (isReference) return t.diagnostic('another server: it has no sluicegate_live');
  assert.ok(Object.keys(base).length > 0, 'no sluicegate_live in the metrics');
  await eventually(async () => {
    const now = await live();
    assert.deepEqual(now, base);
    return true;
  }, SETTLE_MS_MAX, 'the live objects to be back at their base');
  await watcher.leave();
  await server.rooms.deleteRoom(room);
  return t.diagnostic(`live: ${JSON.stringify(base)}`);
});
