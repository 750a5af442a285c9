// The server's figures: what is there now, what flows, and what was repaired.
import { h, KeyedRows, setText, svg } from './dom';
import { bytes, count, mbit, rate } from './format';
import type { History } from './history';
import type { Snapshot } from './snapshot';
import { Sparkline } from './sparkline';

const BITS_PER_MBIT_BYTE = 8 / 1e6;
// Gauges and what the charts show: the table below is for the rest.
const SHOWN_ELSEWHERE = new Set(['sessions', 'resident_memory_bytes', 'packets_up', 'packets_down', 'bytes_up', 'bytes_down']);

interface Counter {
  label: string;
  up: string;
  down: string;
}

const COUNTERS: Counter[] = [
  { label: 'Loss reports (NACK)', up: 'nacks_up', down: 'nacks_down' },
  { label: 'Key-frame requests (PLI)', up: 'plis_up', down: 'plis_down' },
  { label: 'Packets sent again', up: '', down: 'resends_down' },
  { label: 'Datagrams dropped', up: 'dropped', down: '' },
];

export class FigureCards {
  readonly element: HTMLElement;
  private readonly gauges = {
    Sessions: h('dd'),
    Rooms: h('dd'),
    Participants: h('dd'),
    Tracks: h('dd'),
    Memory: h('dd'),
  };
  private readonly packets = new FlowCard('Packets', 'per second');
  private readonly bits = new FlowCard('Traffic', 'Mbit/s');
  private readonly body = h('tbody');
  private readonly counters = new KeyedRows<Counter, CounterRow>(
    this.body,
    (counter) => new CounterRow(counter),
    (row) => row.update(this.history),
  );
  private history: History | undefined;

  constructor() {
    const gauges = Object.entries(this.gauges).map(([label, value]) => h('div', { class: 'card gauge' }, h('dt', {}, label), value));
    const heads = ['Counter', 'In /s', 'Out /s', 'In total', 'Out total'];
    this.element = h(
      'div',
      { class: 'figure-cards' },
      h('dl', { class: 'gauges' }, ...gauges),
      h('div', { class: 'flows' }, this.packets.element, this.bits.element),
      h(
        'section',
        { class: 'card counters', 'aria-label': 'Repair and loss' },
        h('table', {}, h('thead', {}, h('tr', {}, ...heads.map((head) => h('th', { scope: 'col' }, head)))), this.body),
        h('p', { class: 'hint' }, 'In: from clients to the server. Out: from the server to clients.'),
      ),
    );
  }

  update(history: History, snapshot: Snapshot, now: number): void {
    const participants = snapshot.rooms.flatMap((room) => room.participants);
    setText(this.gauges.Sessions, count(history.total('sessions')));
    setText(this.gauges.Rooms, count(snapshot.rooms.length));
    setText(this.gauges.Participants, count(snapshot.rooms.reduce((sum, room) => sum + room.numParticipants, 0)));
    setText(this.gauges.Tracks, count(participants.reduce((sum, participant) => sum + participant.tracks.length, 0)));
    setText(this.gauges.Memory, bytes(history.total('resident_memory_bytes')));
    this.packets.update(history, now, 'packets', 1, rate);
    this.bits.update(history, now, 'bytes', BITS_PER_MBIT_BYTE, mbit);
    this.history = history;
    this.counters.set([...COUNTERS, ...furtherCounters(history)], (counter) => counter.label);
  }
}

// What this console has no words for is shown under its own name.
function furtherCounters(history: History): Counter[] {
  const known = new Set(COUNTERS.flatMap((counter) => [counter.up, counter.down]));
  const names = history.names().filter((name) => !known.has(name) && !SHOWN_ELSEWHERE.has(name));
  const stems = new Set(names.map((name) => name.replace(/_(up|down)$/, '')));
  return [...stems].map((stem) => {
    const label = stem.replaceAll('_', ' ').replace(/^./, (first) => first.toUpperCase());
    const [up, down] = [`${stem}_up`, `${stem}_down`];
    return names.includes(up) || names.includes(down) ? { label, up, down } : { label, up: stem, down: '' };
  });
}

/** One quantity in both directions: the numbers of now and the line of the last minute. */
class FlowCard {
  readonly element: HTMLElement;
  private readonly up = h('strong');
  private readonly down = h('strong');
  private readonly peak = h('span', { class: 'peak' });
  private readonly line: Sparkline;

  constructor(
    private readonly title: string,
    private readonly unit: string,
  ) {
    this.line = new Sparkline(`${title}, last minute`);
    this.element = h(
      'section',
      { class: 'card flow', 'aria-label': title },
      h('header', {}, h('h2', {}, title, ' ', h('span', { class: 'unit' }, unit)), this.peak),
      h('p', { class: 'legend' }, key('in'), h('span', {}, 'In '), this.up, key('out'), h('span', {}, 'Out '), this.down),
      this.line.element,
    );
  }

  update(history: History, now: number, stem: string, factor: number, format: (value: number | null) => string): void {
    const [up, down] = [history.rates(`${stem}_up`, factor), history.rates(`${stem}_down`, factor)];
    const [upNow, downNow] = [format(up.at(-1)?.value ?? null), format(down.at(-1)?.value ?? null)];
    const values = [...up, ...down].map((point) => point.value ?? 0);
    setText(this.up, upNow);
    setText(this.down, downNow);
    setText(this.peak, values.length > 0 ? `peak ${format(Math.max(...values))}` : '');
    this.line.draw(up, down, now, `${this.title} in ${upNow}, out ${downNow} ${this.unit}`);
  }
}

function key(direction: 'in' | 'out'): SVGSVGElement {
  return svg('svg', { class: `key ${direction}`, viewBox: '0 0 12 4', 'aria-hidden': 'true' }, svg('path', { d: 'M1 2h10' }));
}

class CounterRow {
  readonly element: HTMLElement;
  private readonly cells = Array.from({ length: 4 }, () => h('td'));

  constructor(private readonly counter: Counter) {
    this.element = h('tr', {}, h('th', { scope: 'row' }, counter.label), ...this.cells);
  }

  update(history: History | undefined): void {
    const { up, down } = this.counter;
    const texts = [
      up && history ? rate(history.rate(up)) : '',
      down && history ? rate(history.rate(down)) : '',
      up && history ? count(history.total(up)) : '',
      down && history ? count(history.total(down)) : '',
    ];
    this.cells.forEach((cell, index) => setText(cell, texts[index] ?? ''));
  }
}
