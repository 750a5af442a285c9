// What the HTTP port answers without an SDK: health, tokens, refusals before the upgrade, CORS, Twirp's two encodings.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import { CreateRoomRequest, JoinRequest, Room, WrappedJoinRequest } from '@livekit/protocol';
import { KEY, SECRET, freshRoom, isReference, startServer } from './server.mjs';

let server;
before(async () => { server = await startServer(); });
after(() => server?.stop());

const get = (path, options) => fetch(server.http + path, { signal: AbortSignal.timeout(5000), ...options });
const joinRequest = () => {
  const inner = new JoinRequest({ clientInfo: { protocol: 16 } }).toBinary();
  return Buffer.from(new WrappedJoinRequest({ joinRequest: inner }).toBinary()).toString('base64url');
};
const paths = () => [['/rtc/validate', ''], ['/rtc/v1/validate', `&join_request=${joinRequest()}`]];
const validate = ([path, more], token) => get(`${path}?access_token=${token}${more}`);

function handMade(header, claims, hash = 'sha256') {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${hash ? createHmac(hash, SECRET).update(signed).digest('base64url') : ''}`;
}
const claims = (over = {}) => ({
  iss: KEY, sub: 'guest', exp: Math.floor(Date.now() / 1000) + 600, video: { roomJoin: true, room: 'hall' }, ...over,
});

test('GET / says OK, an unknown path 404', async () => {
  const root = await get('/');
  assert.deepEqual([root.status, (await root.text()).trim()], [200, 'OK']);
  assert.equal((await get('/nothing/here')).status, 404);
});

test('both validate paths accept a good token', async () => {
  for (const path of paths()) {
    const response = await validate(path, await server.token('hall', 'guest'));
    assert.deepEqual([response.status, await response.text()], [200, 'success'], path[0]);
  }
});

test('the token may come as a bearer header, and a doubled slash does no harm', async () => {
  const headers = { authorization: `Bearer ${await server.token('hall', 'guest')}` };
  assert.equal((await get('/rtc/validate', { headers })).status, 200);
  assert.equal((await get('//rtc/validate', { headers })).status, 200);
});

test('tokens that must be refused with 401', async (t) => {
  const now = Math.floor(Date.now() / 1000);
  const refused = {
    'no token': '',
    'not a token': 'xyz',
    'a foreign secret': await server.token('hall', 'guest', {}, { secret: 'another secret that is long enough' }),
    'an unknown key': await server.token('hall', 'guest', {}, { key: 'nobody' }),
    'expired two minutes ago': handMade({ alg: 'HS256', typ: 'JWT' }, claims({ exp: now - 120 })),
    'not valid for two more minutes': handMade({ alg: 'HS256', typ: 'JWT' }, claims({ nbf: now + 120 })),
    'no expiry': handMade({ alg: 'HS256', typ: 'JWT' }, claims({ exp: undefined })),
    'no grant to join': await server.token('hall', 'guest', { roomJoin: false }),
    'alg none': handMade({ alg: 'none', typ: 'JWT' }, claims(), null),
    ...(isReference ? {} : { 'alg HS384': handMade({ alg: 'HS384', typ: 'JWT' }, claims(), 'sha384') }),
  };
  for (const [what, token] of Object.entries(refused)) {
    await t.test(what, async () => {
      for (const path of paths()) assert.equal((await validate(path, token)).status, 401, path[0]);
    });
  }
  const good = handMade({ alg: 'HS256', typ: 'JWT' }, claims());
  for (const path of paths()) assert.equal((await validate(path, good)).status, 200, `${path[0]}: the hand-made token itself is good`);
});

test('a minute of clock skew is allowed', async () => {
  const late = handMade({ alg: 'HS256', typ: 'JWT' }, claims({ exp: Math.floor(Date.now() / 1000) - 5 }));
  for (const path of paths()) assert.equal((await validate(path, late)).status, 200, path[0]);
});

test('an empty or overlong room or identity is 400', async () => {
  for (const [room, identity] of [['', 'guest'], ['r'.repeat(1000), 'guest'], ['hall', 'i'.repeat(1000)]]) {
    const token = handMade({ alg: 'HS256', typ: 'JWT' }, claims({ sub: identity, video: { roomJoin: true, room } }));
    for (const path of paths()) assert.equal((await validate(path, token)).status, 400, `${path[0]} ${room.length} ${identity.length}`);
  }
});

test('/rtc/v1 wants a join_request, and a well-formed one', async () => {
  const token = await server.token('hall', 'guest');
  assert.equal((await get(`/rtc/v1/validate?access_token=${token}`)).status, 400);
  assert.equal((await get(`/rtc/v1/validate?access_token=${token}&join_request=%25%25`)).status, 400);
});

test('a browser of another origin may ask', async () => {
  const origin = 'https://app.example';
  const preflight = await get('/twirp/livekit.RoomService/ListRooms', {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' },
  });
  assert.ok(preflight.status < 300, `status ${preflight.status}`);
  assert.ok(['*', origin].includes(preflight.headers.get('access-control-allow-origin')));
  const refusal = await get('/rtc/validate?access_token=xyz', { headers: { origin } });
  assert.equal(refusal.headers.get('access-control-allow-origin'), '*');
});

test('Twirp JSON: snake_case names and zero fields', async () => {
  const name = freshRoom('json');
  const made = await server.twirp('livekit.RoomService/CreateRoom', { name, emptyTimeout: 30, max_participants: 7, not_a_field: 1 });
  assert.equal(made.status, 200);
  assert.match(made.type, /^application\/json/);
  const room = JSON.parse(Buffer.from(made.bytes));
  assert.deepEqual(
    [room.name, room.empty_timeout, room.max_participants, room.num_participants, room.metadata, room.active_recording],
    [name, 30, 7, 0, '', false],
  );
  assert.equal(typeof room.creation_time, 'string', 'a 64-bit integer is a string');
});

test('Twirp protobuf: the answer is protobuf', async () => {
  const name = freshRoom('protobuf');
  const made = await server.twirp('livekit.RoomService/CreateRoom', new CreateRoomRequest({ name, metadata: 'm' }).toBinary());
  assert.deepEqual([made.status, made.type], [200, 'application/protobuf']);
  const room = Room.fromBinary(made.bytes);
  assert.deepEqual([room.name, room.metadata], [name, 'm']);
  assert.match(room.sid, /^RM_/);
});

test('Twirp errors have a status and a code', async (t) => {
  const cases = [
    ['no token', 'ListRooms', {}, { grant: null }, 401, 'unauthenticated'],
    ['a grant too few', 'CreateRoom', { name: 'x' }, { grant: { roomList: true } }, 401, 'unauthenticated'],
    ['admin of another room', 'ListParticipants', { room: 'x' }, { grant: { roomAdmin: true, room: 'y' } }, 401, 'unauthenticated'],
    ['an unknown method', 'Juggle', {}, {}, 404, 'bad_route'],
    ['a room that is not there', 'DeleteRoom', { room: freshRoom('gone') }, {}, 404, 'not_found'],
    ['an overlong name', 'CreateRoom', { name: 'n'.repeat(1000) }, {}, 400, 'invalid_argument'],
  ];
  for (const [what, method, body, options, status, code] of cases) {
    await t.test(what, async () => {
      const answer = await server.twirp(`livekit.RoomService/${method}`, body, options);
      assert.deepEqual([answer.status, JSON.parse(Buffer.from(answer.bytes)).code], [status, code]);
    });
  }
});

test('a body beyond the limit is refused', async () => {
  const answer = await server.twirp('livekit.RoomService/CreateRoom', { name: 'big', metadata: 'm'.repeat(11 << 20) }).catch((error) => ({ refused: error.message }));
  assert.ok(answer.refused || answer.status === 413, `status ${answer.status}`);
  assert.equal((await get('/')).status, 200);
});

test('hostile bytes get an answer, and the server lives on', async () => {
  for (const body of [new Uint8Array([0xff, 0xff, 0xff, 0xff]), new Uint8Array(1000).fill(0x80), '{', 'null', '[]']) {
    const { status } = await server.twirp('livekit.RoomService/CreateRoom', body);
    assert.ok(status >= 400 && status < 500, `status ${status}`);
  }
  assert.equal((await get('/')).status, 200);
});
