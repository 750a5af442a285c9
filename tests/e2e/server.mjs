// The server under test: started on free ports of loopback, stopped by its process id.
//
//   SLUICEGATE_BIN   the binary (default: this checkout's release build)
//   E2E_REFERENCE=1  the binary is another LiveKit-compatible server: what only Sluicegate promises is skipped
import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { AccessToken, RoomServiceClient } from 'livekit-server-sdk';
import { eventually } from './wait.mjs';

const BINARY = process.env.SLUICEGATE_BIN ?? fileURLToPath(new URL('../../target/release/sluicegate', import.meta.url));
export const isReference = process.env.E2E_REFERENCE === '1';
export const KEY = 'devkey';
export const SECRET = 'secret';
const READY_MS_MAX = 20_000;
const STOP_MS_MAX = 8_000;
const LOG_LINES_MAX = 400;

// workers: 'own' gives each of two media workers a port of its own, 'shared' both the same one; participants go to them in turn.
export async function startServer(extraYaml = '', { workers } = {}) {
  const [port, metricsPort, tcpPort, udpPort] = [await freeTcpPort(), await freeTcpPort(), await freeTcpPort(), await freeUdpPort()];
  const yaml = [
    `port: ${port}`,
    'bind_addresses: ["127.0.0.1"]',
    `keys: {${KEY}: ${SECRET}}`,
    `rtc: {udp_port: ${workers === 'own' ? 0 : udpPort}, tcp_port: ${tcpPort}${workers ? ', workers: 2, worker_warm_percent: 0' : ''}}`,
    `prometheus: {port: ${metricsPort}}`,
    extraYaml,
  ].join('\n');
  const server = new Server(['--dev', '--node-ip', '127.0.0.1', '--config-body', yaml], port, metricsPort);
  await server.start();
  return server;
}

class Server {
  constructor(args, port, metricsPort) {
    this.args = args;
    this.http = `http://127.0.0.1:${port}`;
    this.url = `ws://127.0.0.1:${port}`;
    this.metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`;
    this.rooms = new RoomServiceClient(this.http, KEY, SECRET);
    this.log = [];
  }

  // Also after its end: the same command on the same ports.
  async start() {
    const child = spawn(BINARY, this.args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    this.ended = undefined;
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve(`code ${code}, signal ${signal}`));
      child.once('error', (error) => resolve(error.message));
    }).then((how) => { this.ended = how; });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.log.push(...text.split('\n').filter(Boolean));
        this.log.splice(0, this.log.length - LOG_LINES_MAX);
      });
    }
    try {
      await eventually(() => this.answers(), READY_MS_MAX, 'the server to answer GET /');
    } catch (error) {
      await this.stop();
      throw new Error(`${error.message}\n${this.log.join('\n')}`);
    }
  }

  async answers() {
    if (this.ended) throw Object.assign(new Error(`the server ended: ${this.ended}`), { final: true });
    const response = await fetch(this.http, { signal: AbortSignal.timeout(1000) }).catch(() => null);
    return response?.status === 200;
  }

  async stop() {
    if (this.ended) return;
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS_MAX);
    await this.exited;
    clearTimeout(timer);
  }

  // grant: the video grant over {room, roomJoin}; more: what else AccessToken takes, and roomConfig, key, secret
  async token(room, identity, grant = {}, { roomConfig, key = KEY, secret = SECRET, ...more } = {}) {
    const token = new AccessToken(key, secret, { identity, ttl: '10m', ...more });
    token.addGrant({ room, roomJoin: true, ...grant });
    if (roomConfig) token.roomConfig = roomConfig;
    return token.toJwt();
  }

  // A Twirp call without the SDK. body: an object or text (JSON), or bytes (protobuf). grant null: no Authorization.
  async twirp(method, body, { grant = { roomCreate: true, roomList: true } } = {}) {
    const headers = { 'content-type': body instanceof Uint8Array ? 'application/protobuf' : 'application/json' };
    if (grant) {
      const token = new AccessToken(KEY, SECRET, { ttl: '5m' });
      token.addGrant(grant);
      headers.authorization = `Bearer ${await token.toJwt()}`;
    }
    const payload = body instanceof Uint8Array || typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(`${this.http}/twirp/${method}`, { method: 'POST', headers, body: payload, signal: AbortSignal.timeout(10_000) });
    return { status: response.status, type: response.headers.get('content-type') ?? '', bytes: new Uint8Array(await response.arrayBuffer()) };
  }

  // A panic, for the asking: {worker}, {room} or {room, identity}.
  async provoke(what) {
    const response = await fetch(`${this.http}/console/api/fault?${new URLSearchParams(what)}`, { method: 'POST', signal: AbortSignal.timeout(5000) });
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  }

  // What of a room stays the same in all its lives.
  async roomAsListed(room) {
    const [{ sid, metadata }] = await this.rooms.listRooms([room]);
    return { sid, metadata };
  }

  // Samples of one metric: label text -> value.
  async metric(name) {
    const text = await (await fetch(this.metricsUrl, { signal: AbortSignal.timeout(5000) })).text();
    const samples = new Map();
    for (const line of text.split('\n')) {
      const match = /^([a-zA-Z_:][\w:]*)(\{[^}]*\})? (\S+)/.exec(line);
      if (match?.[1] === name) samples.set(match[2] ?? '', Number(match[3]));
    }
    return samples;
  }
}

let rooms = 0;
export const freshRoom = (what = 'room') => `${what}-${process.pid}-${++rooms}`;

async function freeTcpPort() {
  const listener = net.createServer();
  await new Promise((resolve, reject) => listener.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = listener.address();
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

async function freeUdpPort() {
  const socket = dgram.createSocket('udp4');
  await new Promise((resolve, reject) => socket.once('error', reject).bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  return port;
}
