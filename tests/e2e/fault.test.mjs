// Something panics in the middle of a call: whoever it touches comes back by itself, the others hardly notice.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { startChromium } from './chromium.mjs';
import { Page, Python } from './party.mjs';
import { freshRoom, isReference, startServer } from './server.mjs';
import { eventually } from './wait.mjs';

// From the panic until sound and picture flow again, in both directions.
const BACK_MS_MAX = 5000;

let chromium;
const cleanup = [];
before(async () => { chromium = await startChromium(); });
afterEach(async () => { for (const step of cleanup.splice(0).reverse()) await step(); });
after(async () => { await chromium?.stop(); });

async function gather(server, room) {
  const parties = [];
  for (const join of [
    () => Page.join(chromium, server, room, 'single', 1400, '#0000ff', 1),
    () => Page.join(chromium, server, room, 'double', 1800, '#ff0000', 2),
    () => Python.join(server, room, 'python', 1),
    () => Python.join(server, room, 'native', 2),
  ]) {
    const party = await join();
    cleanup.push(() => party.end());
    parties.push(party);
  }
  await everybodyReceives(parties, () => false);
  return parties;
}

const pairs = (parties) => parties.flatMap((to) => parties.filter((from) => from !== to).map((from) => [from, to]));

// When the media of each flowed to each other one.
function everybodyReceives(parties, isAnew, marks = new Map()) {
  return Promise.all(pairs(parties).map(async ([from, to]) => {
    const at = await to.receives(from, marks.get(to), isAnew(from, to));
    return { way: `${from.identity}>${to.identity}`, at };
  }));
}

const listed = async (server, room) => Object.fromEntries((await server.rooms.listParticipants(room)).map(({ identity, sid }) => [identity, sid]));

async function marksOf(parties) {
  return new Map(await Promise.all(parties.map(async (party) => [party, await party.mark()])));
}

// Each of so many has another SID than before; the others, theirs.
async function touchedBy(server, room, before, count) {
  let now;
  const isTouched = (identity) => now[identity] !== before[identity];
  await eventually(async () => {
    now = await listed(server, room);
    const identities = Object.keys(before);
    return identities.every((identity) => now[identity]) && identities.filter(isTouched).length === count;
  }, 30_000, `${count} participants to join anew`).catch((error) => { throw new Error(`${error.message}; before ${JSON.stringify(before)}, now ${JSON.stringify(now)}`); });
  return Object.keys(before).filter(isTouched);
}

// Everybody hears more of everybody; what came says what was said, each message once; of those whom nothing happened to, all.
// (Where the last message is waited for, livekit-client loses it: what it is given in the first two seconds after a full reconnect
// it keeps for a resume that does not come.)
async function nothingIsDoubled(parties, touched) {
  for (const [from, to] of pairs(parties)) {
    const heard = async () => (await to.heard()).filter((text) => text.startsWith(`${from.identity} `)).map((text) => Number(text.split(' ')[1]));
    const before = (await heard()).length;
    const what = async () => `${from.identity} to ${to.identity}: ${await heard()}`;
    await eventually(async () => (await heard()).length > before, 10_000, 'a message').catch(async ({ message }) => { throw new Error(`${message} ${await what()}`); });
    const numbers = await heard();
    assert.deepEqual(numbers, [...new Set(numbers)], await what());
    if (touched.includes(from.identity) || touched.includes(to.identity)) continue;
    assert.deepEqual(numbers, Array.from(numbers, (_, i) => numbers[0] + i), await what());
  }
}

// touched: the identities to come back, or how many there are of them.
async function survives(server, room, parties, what, touched) {
  const before = await listed(server, room);
  const marks = await marksOf(parties);
  await server.provoke(what);
  const start = Date.now();
  touched = await touchedBy(server, room, before, touched.length ?? touched).then((seen) => {
    if (touched.length) assert.deepEqual(seen, touched);
    return seen;
  });
  const isTouched = ({ identity }) => touched.includes(identity);
  const back = parties.filter(isTouched).map(async (party) => {
    await party.back(marks.get(party));
    return `${party.identity} ${Date.now() - start}`;
  });
  const flows = await everybodyReceives(parties, (from, to) => isTouched(from) || isTouched(to), marks);
  const media = flows.map(({ way, at }) => `${way} ${at - start}`);
  console.log(`${JSON.stringify(what)}: back ${(await Promise.all(back)).join(', ')}; media ${media.join(', ')}`);
  assert.ok(flows.every(({ at }) => at - start < BACK_MS_MAX), 'media took too long');

  const now = await listed(server, room);
  assert.deepEqual(Object.keys(now).sort(), Object.keys(before).sort());
  for (const party of parties) {
    const { [party.identity]: _, ...others } = now;
    await party.remotesAre(others);
    if (isTouched(party)) continue;
    assert.equal(await party.isDisturbed(marks.get(party)), false, party.identity);
    assert.deepEqual(await party.changes(marks.get(party)), Object.fromEntries(touched.map((identity) => [identity, { joined: 1, left: 1 }])));
  }
  await nothingIsDoubled(parties, touched);
}

for (const workers of ['own', 'shared']) {
  describe(`two media workers, ${workers} ports`, { skip: isReference }, () => {
    let server;
    before(async () => { server = await startServer('', { workers }); });
    after(() => server?.stop());

    const sessions = async () => [...(await server.metric('sluicegate_worker_sessions')).values()];

    for (const identity of workers === 'own' ? ['single', 'double', 'python', 'native'] : []) {
      test(`the session of ${identity} panics`, { timeout: 90_000 }, async () => {
        const room = freshRoom();
        await survives(server, room, await gather(server, room), { room, identity }, [identity]);
      });
    }

    for (const worker of [0, 1]) {
      test(`worker ${worker} panics`, { timeout: 90_000 }, async () => {
        const room = freshRoom();
        const parties = await gather(server, room);
        const counts = await eventually(async () => {
          const counts = await sessions();
          return counts[0] + counts[1] === parties.length && counts;
        }, 10_000, 'the sessions to be counted');
        assert.ok(counts[0] > 0 && counts[1] > 0, `all on one worker: ${counts}`);
        await survives(server, room, parties, { worker }, counts[worker]);
      });
    }

    test('the room panics', { timeout: 90_000 }, async () => {
      const room = freshRoom();
      await server.rooms.createRoom({ name: room, metadata: 'a call' });
      const listed = await server.roomAsListed(room);
      const parties = await gather(server, room);
      await survives(server, room, parties, { room }, parties.map(({ identity }) => identity));
      assert.deepEqual(await server.roomAsListed(room), listed);
    });
  });
}
