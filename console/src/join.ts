// The join panel: who, where, with what.
import { h, setText, show } from './dom';
import { icon, setIcon, type IconName } from './icons';
import { friendlyName } from './names';

/** What the visitor asked for. An empty token: the server is to make one. */
export interface Wish {
  room: string;
  name: string;
  /** Typed, and not a suggestion of ours: worth remembering. */
  ownName: boolean;
  camera: boolean;
  microphone: boolean;
  token: string;
}

export class JoinPanel {
  readonly element: HTMLElement;
  private readonly room: HTMLInputElement;
  private readonly name: HTMLInputElement;
  private readonly token = h('textarea', { id: 'join-token', rows: 4, spellcheck: 'false', autocomplete: 'off', placeholder: 'eyJhbGciOi…' });
  private readonly tokenField = h('div', { class: 'field', hidden: true }, h('label', { for: 'join-token' }, 'Token'), this.token);
  private readonly camera = new Toggle('Camera', 'camera', 'cameraOff');
  private readonly microphone = new Toggle('Microphone', 'mic', 'micOff');
  private readonly message = h('p', { class: 'trouble', role: 'alert', hidden: true });
  private readonly button = h('button', { class: 'primary', type: 'submit' }, 'Join');
  private readonly cancel: HTMLButtonElement;
  private ownName = false;

  constructor(room: string, name: string, actions: { submit(): void; cancel(): void }) {
    const plain = { autocomplete: 'off', spellcheck: 'false', maxlength: 120, required: true };
    this.room = h('input', { ...plain, id: 'join-room', value: room, autocapitalize: 'off' });
    this.name = h('input', { ...plain, id: 'join-name', value: name, input: () => (this.ownName = true) });
    const another = h('button', { class: 'plain inset', type: 'button', title: 'Another name', 'aria-label': 'Another name', click: () => this.suggest() }, icon('shuffle'));
    this.cancel = h('button', { type: 'button', hidden: true, click: () => actions.cancel() }, 'Cancel');
    const form = h(
      'form',
      {
        class: 'join-form',
        submit: (event) => {
          event.preventDefault();
          actions.submit();
        },
      },
      h('h1', {}, 'Join a room'),
      h('div', { class: 'field' }, h('label', { for: 'join-room' }, 'Room'), this.room),
      h('div', { class: 'field' }, h('label', { for: 'join-name' }, 'Your name'), h('div', { class: 'with-inset' }, this.name, another)),
      h('div', { class: 'toggles', role: 'group', 'aria-label': 'Join with' }, this.microphone.element, this.camera.element),
      this.tokenField,
      this.message,
      h('div', { class: 'join-buttons' }, this.button, this.cancel),
    );
    this.element = h('div', { class: 'join' }, introduction(), form);
  }

  wish(): Wish {
    return {
      room: this.room.value.trim() || 'demo',
      name: this.name.value.trim() || friendlyName(),
      ownName: this.ownName,
      camera: this.camera.on,
      microphone: this.microphone.on,
      token: this.tokenField.hidden ? '' : this.token.value.trim(),
    };
  }

  wait(words: string): void {
    show(this.message, false);
    setText(this.button, words);
    this.button.disabled = true;
    show(this.cancel, true);
  }

  ready(): void {
    setText(this.button, 'Join');
    this.button.disabled = false;
    show(this.cancel, false);
  }

  explain(words: string): void {
    setText(this.message, words);
    show(this.message, true);
    this.ready();
  }

  askForToken(words: string): void {
    show(this.tokenField, true);
    this.explain(words);
    this.token.focus();
  }

  focus(): void {
    this.button.focus();
  }

  private suggest(): void {
    this.name.value = friendlyName();
    this.ownName = false;
  }
}

function introduction(): HTMLElement {
  const points: [IconName, string][] = [
    ['camera', 'Meet in a room: sound, picture and screens, from any browser.'],
    ['figures', 'See what each stream really does: size, rate, codec, loss.'],
    ['data', 'Watch the server at work, live, in the section “Server”.'],
  ];
  return h(
    'div',
    { class: 'introduction' },
    h('p', { class: 'claim' }, 'Real-time media, through one gate.'),
    h('p', {}, 'Sluicegate is a media server that speaks LiveKit’s protocol. Try it from here: join a room, then join it again from a second tab or a phone.'),
    h('ul', {}, ...points.map(([sign, words]) => h('li', {}, icon(sign), h('span', {}, words)))),
  );
}

class Toggle {
  readonly element: HTMLElement;
  private readonly box: HTMLInputElement;

  constructor(label: string, whenOn: IconName, whenOff: IconName) {
    const sign = icon(whenOn);
    const state = h('span', { class: 'muted', 'aria-hidden': 'true' }, 'on');
    const change = (): void => {
      setIcon(sign, this.on ? whenOn : whenOff);
      setText(state, this.on ? 'on' : 'off');
    };
    this.box = h('input', { type: 'checkbox', role: 'switch', checked: true, change });
    this.element = h('label', { class: 'toggle' }, this.box, sign, h('span', {}, label), state);
  }

  get on(): boolean {
    return this.box.checked;
  }
}
