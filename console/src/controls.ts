// The buttons below the tiles.
import { type Room, RoomEvent } from 'livekit-client';
import { DeviceChooser } from './devices';
import { h, setAttribute, setText } from './dom';
import { icon, type IconName, setIcon } from './icons';
import type { Stage } from './stage';
import type { Device } from './trouble';

export interface ControlActions {
  leave(): void;
  failed(error: unknown, device: Device): void;
}

export class Controls {
  readonly element: HTMLElement;
  private readonly microphone: Button;
  private readonly camera: Button;
  private readonly screen: Button | undefined;
  private readonly figures: Button;
  private readonly chooser: DeviceChooser;

  constructor(
    private readonly room: Room,
    stage: Stage,
    actions: ControlActions,
  ) {
    const me = room.localParticipant;
    const attempt = (device: Device, change: () => Promise<unknown>): Promise<void> => change().then(() => undefined, (error: unknown) => actions.failed(error, device));
    this.microphone = new Button('mic', () => attempt('microphone', () => me.setMicrophoneEnabled(!me.isMicrophoneEnabled)));
    this.camera = new Button('camera', () => attempt('camera', () => me.setCameraEnabled(!me.isCameraEnabled)));
    // Phones have no way to share a screen from a page.
    if (typeof navigator.mediaDevices?.getDisplayMedia === 'function') {
      this.screen = new Button('screen', () => attempt('screen', () => me.setScreenShareEnabled(!me.isScreenShareEnabled, { audio: true })));
    }
    this.chooser = new DeviceChooser(room, actions);
    const devices = new Button('devices', () => this.chooser.open());
    devices.say('Devices', 'devices');
    this.figures = new Button('figures', () => {
      stage.showsFigures = !stage.showsFigures;
      this.figures.say('Figures', 'figures', stage.showsFigures);
    });
    this.figures.say('Figures', 'figures', stage.showsFigures);
    const leave = new Button('leave', actions.leave);
    leave.say('Leave', 'leave');
    leave.element.classList.add('danger');
    const buttons = [this.microphone, this.camera, this.screen, devices, this.figures, leave].flatMap((button) => button?.element ?? []);
    this.element = h('div', { class: 'controls', role: 'group', 'aria-label': 'Call' }, ...buttons, this.chooser.element);
    room.on(RoomEvent.MediaDevicesChanged, this.chooser.refresh);
  }

  update(): void {
    const { isMicrophoneEnabled: mic, isCameraEnabled: camera, isScreenShareEnabled: screen } = this.room.localParticipant;
    this.microphone.say(mic ? 'Mute' : 'Unmute', mic ? 'mic' : 'micOff');
    this.camera.say(camera ? 'Stop camera' : 'Start camera', camera ? 'camera' : 'cameraOff');
    this.screen?.say(screen ? 'Stop sharing' : 'Share screen', screen ? 'screenOff' : 'screen');
    setAttribute(this.microphone.element, 'data-off', !mic);
    setAttribute(this.camera.element, 'data-off', !camera);
    if (this.screen) setAttribute(this.screen.element, 'data-on', screen);
  }

  close(): void {
    this.room.off(RoomEvent.MediaDevicesChanged, this.chooser.refresh);
    this.chooser.close();
  }
}

/** A button that waits for what it began: a second click meanwhile would undo the first at a random moment. It is busy and not
 *  disabled meanwhile: a disabled button loses the focus. */
class Button {
  readonly element: HTMLButtonElement;
  private readonly sign: SVGSVGElement;
  private readonly label = h('span');
  private busy = false;

  constructor(name: IconName, act: () => Promise<void> | void) {
    this.sign = icon(name);
    const click = async (): Promise<void> => {
      if (this.busy) return;
      this.busy = true;
      setAttribute(this.element, 'aria-busy', 'true');
      await act();
      this.busy = false;
      setAttribute(this.element, 'aria-busy', null);
    };
    this.element = h('button', { class: 'control', type: 'button', 'data-control': name, click: () => void click() }, this.sign, this.label);
  }

  say(label: string, sign: IconName, pressed?: boolean): void {
    setText(this.label, label);
    setIcon(this.sign, sign);
    setAttribute(this.element, 'title', label);
    if (pressed !== undefined) setAttribute(this.element, 'aria-pressed', String(pressed));
  }
}
