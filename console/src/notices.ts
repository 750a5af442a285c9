// Short messages at the edge of the page: what happened, in words; they go by themselves.
import { h } from './dom';
import { icon } from './icons';

export type Tone = 'plain' | 'good' | 'bad';

const STAY_MS: Record<Tone, number> = { plain: 3500, good: 3500, bad: 12_000 };
const SHOWN_MAX = 4;

export class Notices {
  // Two regions, so that a screen reader speaks trouble at once and the rest when it has a moment.
  private readonly calm = h('div', { role: 'status' });
  private readonly urgent = h('div', { role: 'alert' });

  constructor(container: HTMLElement) {
    container.append(this.urgent, this.calm);
  }

  say(text: string, tone: Tone = 'plain'): void {
    const region = tone === 'bad' ? this.urgent : this.calm;
    const same = [...region.children].find((child) => child.firstElementChild?.textContent === text);
    same?.remove();
    const notice = h('div', { class: `notice ${tone}` }, h('p', {}, text));
    const close = h('button', { class: 'plain', type: 'button', 'aria-label': 'Dismiss', click: () => notice.remove() }, icon('close'));
    notice.append(close);
    region.append(notice);
    while (region.children.length > SHOWN_MAX) region.firstElementChild?.remove();
    setTimeout(() => notice.remove(), STAY_MS[tone]);
  }
}
