// One way to ask different clients the same: a page, the native client (in Python), all of whom publish and talk. Not the native client
// in Node: after one in twenty full reconnects it makes no offer any more, though it has its answer and is asked for another.
import { joinFromPython } from './python-peer.mjs';
import { eventually } from './wait.mjs';

const SAYING_MS = 100;
// What the Python client takes to tell a tone, once it flows.
const MEASURING_MS = 1000;
const BACK_MS_MAX = 30_000;

// mark: a place in what a client has seen; what is asked "since" it concerns what came later.
class Party {
  constructor(identity, hz, hasPicture) {
    Object.assign(this, { identity, hz, hasPicture });
  }

  // How often others came and went.
  async changes(mark) {
    const count = {};
    for (const { joined, left } of await this.traffic(mark)) {
      const who = (count[joined ?? left] ??= { joined: 0, left: 0 });
      who[joined ? 'joined' : 'left'] += 1;
    }
    return count;
  }

  remotesAre(wanted, ms = 10_000) {
    let seen;
    return eventually(async () => {
      seen = await this.remotes();
      return Object.keys(seen).length === Object.keys(wanted).length && Object.entries(wanted).every(([who, sid]) => seen[who] === sid);
    }, ms, `${this.identity} to see ${JSON.stringify(wanted)}`).catch((error) => { throw new Error(`${error.message}; it sees ${JSON.stringify(seen)}`); });
  }
}

export class Page extends Party {
  static async join(chromium, server, room, identity, hz, color, connections) {
    const page = new Page(identity, hz, true);
    page.tab = await chromium.tab();
    await page.tab.call('join', server.url, await server.token(room, identity), { singlePeerConnection: connections === 1 });
    await page.tab.call('publishPicture', color, { simulcast: false }, 160, 90, 10);
    await page.tab.call('publishTone', hz);
    await page.tab.call('keepSaying', identity, SAYING_MS);
    return page;
  }

  mark = async () => ({ count: await this.tab.call('eventCount'), received: await this.tab.call('received') });
  back = ({ count }) => this.tab.event('reconnected', {}, count, BACK_MS_MAX);
  end = () => this.tab.close();

  async isDisturbed({ count }) {
    return (await this.tab.call('eventsFrom', count)).some(({ name }) => /econnect|^disconnected/.test(name));
  }

  async traffic({ count }) {
    const events = await this.tab.call('eventsFrom', count);
    const of = (name, key) => events.filter((event) => event.name === name).map(({ identity }) => ({ [key]: identity }));
    return [...of('participantConnected', 'joined'), ...of('participantDisconnected', 'left')];
  }

  async remotes() {
    return Object.fromEntries(Object.entries((await this.tab.call('view')).remotes).map(([identity, { sid }]) => [identity, sid]));
  }

  async heard() {
    return (await this.tab.call('eventsFrom', 0)).filter(({ name }) => name === 'dataReceived').map(({ text }) => text);
  }

  // Resolves to the moment at which sound and picture flow; on new subscriptions where these are asked for.
  async receives(other, mark, isAnew) {
    const one = async (source, flows) => {
      const name = `${other.identity}/${source}`;
      const isThere = (ids) => ids[name] && !(isAnew && ids[name] === mark.received[name]);
      await this.tab.until('received', [], isThere, `${this.identity} to get ${name}`, BACK_MS_MAX);
      await flows();
      return Date.now();
    };
    const sound = one('microphone', () => this.tab.pitch(other.identity, other.hz, BACK_MS_MAX));
    const picture = other.hasPicture ? one('camera', () => this.tab.frames(other.identity, 'camera', 5, BACK_MS_MAX)) : 0;
    return Math.max(...await Promise.all([sound, picture]));
  }
}

export class Python extends Party {
  static async join(server, room, identity, connections) {
    const python = new Python(identity, 1000, true);
    python.peer = await joinFromPython(server.url, await server.token(room, identity), identity, connections, '--publish', '--hasty');
    python.peer.ask({ keep_saying: identity, seconds: SAYING_MS / 1000 });
    return python;
  }

  mark = async () => this.peer.reports.length;
  back = (mark) => this.peer.report((r) => r.event === 'reconnected', `${this.identity} to be back`, { from: mark, ms: BACK_MS_MAX });
  end = () => this.peer.end();
  remotes = async () => (await this.peer.view()).remotes;
  heard = async () => this.peer.reports.filter((r) => r.said).map((r) => r.said);

  async isDisturbed(mark) {
    return this.peer.reports.slice(mark).some(({ event }) => ['reconnecting', 'reconnected', 'disconnected'].includes(event));
  }

  async traffic(mark) {
    const of = (name, key) => this.peer.reports.slice(mark).filter((r) => r.event === name).map(({ identity }) => ({ [key]: identity }));
    return [...of('participant_connected', 'joined'), ...of('participant_disconnected', 'left')];
  }

  // It reports on each subscription once.
  async receives(other, mark, isAnew) {
    const one = async (kind) => {
      const fits = (r) => r.identity === other.identity && r.kind === kind && (kind === 'video' || Math.abs(r.hz - other.hz) < 15);
      await this.peer.report(fits, `${kind} of ${other.identity}`, { from: isAnew ? mark : 0, ms: BACK_MS_MAX });
      return Date.now() - (kind === 'audio' ? MEASURING_MS : 0);
    };
    return Math.max(...await Promise.all(other.hasPicture ? [one('audio'), one('video')] : [one('audio')]));
  }
}
