// The server's page: asks once a second while somebody looks, and not otherwise.
import { ApiError, fetchSnapshot } from './api';
import { h, setAttribute, setText, show } from './dom';
import { FigureCards } from './figures';
import { duration } from './format';
import { History } from './history';
import { RoomList } from './roomlist';
import type { Snapshot } from './snapshot';

const EVERY_MS = 1000;
// A server that is away or refuses need not be asked that often.
const AFTER_TROUBLE_MS = 4000;

export class Overview {
  private readonly history = new History();
  private readonly cards = new FigureCards();
  private readonly rooms = new RoomList();
  private readonly facts = h('p', { class: 'facts' });
  private readonly pulse = h('span', { class: 'pulse', role: 'status' }, 'Connecting');
  private readonly trouble = h('p', { class: 'trouble', role: 'alert', hidden: true });
  private readonly body = h('div', { class: 'overview-body', hidden: true }, this.cards.element, this.rooms.element);
  private readonly skeleton = h('div', { class: 'skeleton', 'aria-hidden': 'true' }, ...Array.from({ length: 6 }, () => h('span')));
  private selected = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asking = false;

  constructor(container: HTMLElement) {
    container.append(
      h(
        'div',
        { class: 'overview' },
        h('header', { class: 'page-head' }, h('div', {}, h('h1', {}, 'Server'), this.facts), this.pulse),
        this.trouble,
        this.skeleton,
        this.body,
      ),
    );
    document.addEventListener('visibilitychange', () => this.arrange());
  }

  select(selected: boolean): void {
    this.selected = selected;
    this.arrange();
  }

  private arrange(): void {
    clearTimeout(this.timer);
    if (this.selected && !document.hidden) void this.ask();
  }

  private async ask(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    const started = performance.now();
    let wait = EVERY_MS;
    try {
      this.render(await fetchSnapshot());
    } catch (error) {
      this.explain(error);
      wait = AFTER_TROUBLE_MS;
    }
    this.asking = false;
    clearTimeout(this.timer);
    // The next question leaves a period after this one left, however long the answer took.
    const pause = Math.max(wait - (performance.now() - started), 100);
    if (this.selected && !document.hidden) this.timer = setTimeout(() => void this.ask(), pause);
  }

  private render(snapshot: Snapshot): void {
    const now = performance.now();
    this.history.add(now, snapshot);
    setText(this.facts, facts(snapshot));
    this.state('live', 'Live');
    show(this.trouble, false);
    show(this.skeleton, false);
    show(this.body, true);
    this.body.classList.remove('stale');
    this.cards.update(this.history, snapshot, now);
    this.rooms.update(snapshot.rooms);
  }

  private explain(error: unknown): void {
    if (!(error instanceof ApiError)) console.error(error);
    const refused = error instanceof ApiError && error.isRefusal;
    this.state('away', refused ? 'Not available' : 'No answer');
    setText(this.trouble, words(error));
    show(this.trouble, true);
    show(this.skeleton, false);
    this.body.classList.add('stale');
  }

  private state(state: 'live' | 'away', words: string): void {
    setAttribute(this.pulse, 'data-state', state);
    setText(this.pulse, words);
  }
}

function facts(snapshot: Snapshot): string {
  const parts = [
    snapshot.version && `Sluicegate ${snapshot.version}`,
    snapshot.nodeId && `node ${snapshot.nodeId}`,
    snapshot.uptimeSecs !== null && `up ${duration(snapshot.uptimeSecs)}`,
  ];
  return parts.filter(Boolean).join('  ·  ');
}

function words(error: unknown): string {
  if (!(error instanceof ApiError)) return 'The answer of the server could not be shown. Details are in the browser’s console.';
  if (error.status === 0) return 'The server does not answer. Trying again every few seconds.';
  if (error.isRefusal) return `This server shows its overview in development mode only (it said: ${error.message}).`;
  return `The server answered with an error: ${error.message}`;
}
