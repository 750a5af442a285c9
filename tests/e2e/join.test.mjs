// Joining, presence and refusals as a browser sees them.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { startChromium } from './chromium.mjs';
import { freshRoom, isReference, startServer } from './server.mjs';

const DUPLICATE_IDENTITY = 2;
const PARTICIPANT_REMOVED = 4;
const PRESENCE_MS_MAX = 500;

let server;
let chromium;
const tabs = [];
before(async () => { [server, chromium] = [await startServer(), await startChromium()]; });
afterEach(async () => { for (const tab of tabs.splice(0)) await tab.close(); });
after(async () => { await chromium?.stop(); await server?.stop(); });

async function openTab() {
  const tab = await chromium.tab();
  tabs.push(tab);
  return tab;
}
async function join(room, identity, { grant, token, options, connect } = {}) {
  const tab = await openTab();
  tab.joined = await tab.call('join', server.url, await server.token(room, identity, grant, token), options, connect);
  return tab;
}

for (const [signalling, singlePeerConnection] of [['v0, two connections', false], ['v1, one connection', true]]) {
  describe(signalling, () => {
    const options = { singlePeerConnection };

    test('one joins: itself, the room and the server as its token says', async () => {
      const room = freshRoom();
      const ann = await join(room, 'ann', { options, token: { name: 'Ann', metadata: 'm', attributes: { k: 'v' } } });
      const { joined } = ann;
      assert.deepEqual([joined.room, joined.identity, joined.name, joined.metadata, joined.attributes], [room, 'ann', 'Ann', 'm', { k: 'v' }]);
      assert.match(joined.sid, /^PA_/);
      assert.match(await ann.call('roomSid'), /^RM_/);
      assert.match(joined.serverVersion, /^\d+\.\d+\.\d+/);
    });

    test('two see each other come and go', async () => {
      const room = freshRoom();
      const ann = await join(room, 'ann', { options });
      const ben = await join(room, 'ben', { options, token: { name: 'Ben', metadata: 'bm', attributes: { color: 'red' } } });
      const joinedAt = Date.now();
      await ann.sees('ben');
      const joinMs = Date.now() - joinedAt;
      await ben.sees('ann');
      const seen = (await ann.call('view')).remotes.ben;
      assert.deepEqual([seen.name, seen.metadata, seen.attributes], ['Ben', 'bm', { color: 'red' }]);
      const leftAt = Date.now();
      await ben.call('leave');
      await ann.missesSoon('ben');
      const leaveMs = Date.now() - leftAt;
      if (!isReference) assert.ok(joinMs < PRESENCE_MS_MAX && leaveMs < PRESENCE_MS_MAX, `seen after ${joinMs} and ${leaveMs} ms`);
    });

    test('a late joiner gets what was published before', async () => {
      const room = freshRoom();
      const ann = await join(room, 'ann', { options });
      const sid = await ann.call('publishPicture', '#0000ff');
      const ben = await join(room, 'ben', { options });
      assert.equal((await ben.subscribed('ann', 'camera')).sid, sid);
      await ben.frames('ann', 'camera', 10);
      await ben.color('ann', 'camera', [0, 0, 255]);
    });

    test('the same identity again ends the first', async () => {
      const room = freshRoom();
      const first = await join(room, 'ann', { options });
      const second = await join(room, 'ann', { options });
      const events = await first.event('disconnected');
      assert.deepEqual(events.find((e) => e.name === 'disconnected').values, [DUPLICATE_IDENTITY]);
      assert.equal((await second.call('view')).state, 'connected');
      assert.equal((await server.rooms.listParticipants(room)).length, 1);
    });

    test('refusals are told: foreign secret, expired, no grant, a full room', async () => {
      const room = freshRoom();
      await server.rooms.createRoom({ name: room, maxParticipants: 1 });
      const tokens = {
        'foreign secret': await server.token(room, 'x', {}, { secret: 'some secret of somebody else, long enough' }),
        expired: await server.token(room, 'x', {}, { ttl: -120 }),
        'no grant': await server.token(room, 'x', { roomJoin: false }),
      };
      const tab = await openTab();
      for (const [what, token] of Object.entries(tokens)) {
        const answer = await tab.call('tryJoin', server.url, token, options);
        assert.equal(answer.joined, false, what);
        assert.match(`${answer.status} ${answer.message}`, /401|permission|token|unauthor/i, what);
      }
      await join(room, 'ann', { options });
      assert.equal((await tab.call('tryJoin', server.url, await server.token(room, 'ben'), options)).joined, false, 'a full room');
    });

    test('a participant updates itself where its grant allows, the others see it', async () => {
      const room = freshRoom();
      const ann = await join(room, 'ann', { options, grant: { canUpdateOwnMetadata: true } });
      const ben = await join(room, 'ben', { options });
      await ben.sees('ann');
      await ann.call('setMetadata', 'changed');
      await ann.call('setName', 'Anna');
      await ann.call('setAttributes', { mood: 'good' });
      await ben.until('view', [], ({ remotes: { ann: a } }) => a.metadata === 'changed' && a.name === 'Anna' && a.attributes.mood === 'good', 'the update');
      await assert.rejects(ben.call('setMetadata', 'not allowed'));
    });

    test('removal and room metadata by the API reach the page', async () => {
      const room = freshRoom();
      await server.rooms.createRoom({ name: room, metadata: 'one' });
      const ann = await join(room, 'ann', { options });
      assert.equal(ann.joined.roomMetadata, 'one');
      await server.rooms.updateRoomMetadata(room, 'two');
      await ann.until('view', [], (view) => view.roomMetadata === 'two', 'the metadata');
      await server.rooms.sendData(room, new TextEncoder().encode('hello'), 0, { topic: 't' });
      await ann.event('dataReceived', { text: 'hello' });
      await server.rooms.removeParticipant(room, 'ann');
      const events = await ann.event('disconnected');
      assert.deepEqual(events.find((e) => e.name === 'disconnected').values, [PARTICIPANT_REMOVED]);
    });
  });
}

test('a hidden participant sees and is not seen', async () => {
  const room = freshRoom();
  const ann = await join(room, 'ann');
  const ghost = await join(room, 'ghost', { grant: { hidden: true } });
  await ghost.sees('ann');
  const ben = await join(room, 'ben');
  await ann.sees('ben');
  assert.deepEqual([Object.keys((await ann.call('view')).remotes), Object.keys((await ben.call('view')).remotes)], [['ben'], ['ann']]);
});

test('a page that vanishes is removed', { timeout: 90_000 }, async () => {
  const room = freshRoom();
  const ann = await join(room, 'ann');
  const ben = await join(room, 'ben');
  await ann.sees('ben');
  await ben.close();
  await ann.missesSoon('ben', 60_000);
});
