// Which microphone, camera and loudspeaker: a dialog with one list each.
import { Room } from 'livekit-client';
import { h, show } from './dom';
import { icon } from './icons';
import type { Device } from './trouble';

interface Choice {
  kind: MediaDeviceKind;
  label: string;
  device: Device;
}

const CHOICES: Choice[] = [
  { kind: 'audioinput', label: 'Microphone', device: 'microphone' },
  { kind: 'videoinput', label: 'Camera', device: 'camera' },
  { kind: 'audiooutput', label: 'Loudspeaker', device: 'microphone' },
];

export class DeviceChooser {
  readonly element: HTMLDialogElement;
  private readonly lists = new Map<MediaDeviceKind, HTMLSelectElement>();

  constructor(
    private readonly room: Room,
    private readonly on: { failed(error: unknown, device: Device): void },
  ) {
    const fields = CHOICES.map((choice) => {
      const list = h('select', { id: `device-${choice.kind}`, change: () => void this.choose(choice, list.value) });
      this.lists.set(choice.kind, list);
      return h('div', { class: 'field' }, h('label', { for: list.id }, choice.label), list);
    });
    const close = h('button', { class: 'plain', type: 'button', 'aria-label': 'Close', click: () => this.close() }, icon('close'));
    this.element = h(
      'dialog',
      {
        class: 'devices',
        'aria-labelledby': 'devices-title',
        // The dialog has no padding of its own, so that a click which hits it and not its content is one beside it.
        click: (event) => event.target === this.element && this.close(),
      },
      h('div', { class: 'devices-body' }, h('header', {}, h('h2', { id: 'devices-title' }, 'Devices'), close), ...fields),
    );
  }

  async open(): Promise<void> {
    await this.fill();
    this.element.showModal();
  }

  close(): void {
    if (this.element.open) this.element.close();
  }

  readonly refresh = (): void => {
    if (this.element.open) void this.fill();
  };

  private async fill(): Promise<void> {
    for (const [kind, list] of this.lists) {
      const found = await Room.getLocalDevices(kind, false).catch(() => []);
      const active = this.room.getActiveDevice(kind);
      // Before the first permission the browser gives devices without names.
      const options = found.map((device, index) => h('option', { value: device.deviceId, selected: device.deviceId === active }, device.label || `Number ${index + 1}`));
      list.replaceChildren(...(options.length > 0 ? options : [h('option', { value: '' }, 'None found')]));
      list.disabled = options.length === 0;
      // Not every browser lets a page choose where sound comes out.
      if (kind === 'audiooutput') show(list.parentElement as HTMLElement, 'setSinkId' in HTMLMediaElement.prototype && options.length > 0);
    }
  }

  private async choose(choice: Choice, id: string): Promise<void> {
    try {
      await this.room.switchActiveDevice(choice.kind, id);
    } catch (error) {
      this.on.failed(error, choice.device);
      await this.fill();
    }
  }
}
