// The line above the tiles: which room, for how long, how the connection is; and what must not be overlooked.
import { ConnectionState } from 'livekit-client';
import { h, setAttribute, setText, show } from './dom';
import { clock, plural } from './format';
import { icon } from './icons';
import type { Notices } from './notices';

export interface BarFacts {
  name: string;
  people: number;
  state: ConnectionState;
  soundBlocked: boolean;
}

const STATES: Record<ConnectionState, string> = {
  [ConnectionState.Connected]: 'Connected',
  [ConnectionState.Connecting]: 'Connecting',
  [ConnectionState.Reconnecting]: 'Reconnecting',
  [ConnectionState.SignalReconnecting]: 'Reconnecting',
  [ConnectionState.Disconnected]: 'Not connected',
};

export class RoomBar {
  readonly element: HTMLElement;
  private readonly name = h('h1', { class: 'clip', tabindex: -1 });
  private readonly people = h('span', { class: 'muted people-count' });
  private readonly time = h('span', { class: 'muted time', role: 'timer' });
  private readonly pulse = h('span', { class: 'pulse', role: 'status' });
  private readonly reconnecting = h('p', { class: 'banner warn', role: 'alert', hidden: true }, h('span', { class: 'spinner', 'aria-hidden': 'true' }), h('span', {}, 'The connection was lost. Reconnecting…'));
  private readonly soundBlocked: HTMLElement;
  private readonly alone: HTMLElement;
  private readonly since = performance.now();

  constructor(
    private readonly link: string,
    joinLink: string,
    private readonly notices: Notices,
    hear: () => void,
  ) {
    const copy = h('button', { class: 'button small', type: 'button', click: () => void this.copy() }, icon('link'), h('span', {}, 'Copy link'));
    this.soundBlocked = h('div', { class: 'banner', hidden: true, role: 'alert' }, h('span', {}, 'The browser keeps the sound back until you click.'), h('button', { class: 'primary small', type: 'button', click: hear }, icon('sound'), 'Click to hear'));
    this.alone = h('p', { class: 'banner quiet', hidden: true }, h('span', {}, 'Nobody else is here yet.'), h('a', { href: joinLink, target: '_blank', rel: 'noopener' }, 'Join from a second tab'));
    this.element = h(
      'div',
      { class: 'room-top' },
      h('header', { class: 'room-bar' }, this.name, this.people, this.time, h('span', { class: 'fill' }), this.pulse, copy),
      this.reconnecting,
      this.soundBlocked,
      this.alone,
    );
  }

  update(facts: BarFacts): void {
    const connected = facts.state === ConnectionState.Connected;
    setText(this.name, facts.name);
    setText(this.people, plural(facts.people, 'participant'));
    setText(this.pulse, STATES[facts.state]);
    setAttribute(this.pulse, 'data-state', connected ? 'live' : 'wait');
    show(this.reconnecting, STATES[facts.state] === 'Reconnecting');
    show(this.soundBlocked, facts.soundBlocked);
    show(this.alone, connected && facts.people === 1);
    this.tick();
  }

  focus(): void {
    this.name.focus();
  }

  tick(): void {
    setText(this.time, clock((performance.now() - this.since) / 1000));
  }

  private async copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.link);
      this.notices.say('The link to this room is on the clipboard.', 'good');
    } catch {
      // Plain http pages have no clipboard: then the link is shown to be copied by hand.
      this.notices.say(this.link);
    }
  }
}
