// The way into a room and out of it: the panel, the token, the call, and the panel again with the reason.
import { ApiError, fetchSession, signalUrl } from './api';
import { JoinPanel, type Wish } from './join';
import { keep, recall } from './memory';
import { friendlyName, freshIdentity } from './names';
import type { Notices } from './notices';
import type { RoomView } from './room';
import { readClaims } from './token';

export class Lobby {
  private readonly panel: JoinPanel;
  private call: RoomView | undefined;
  private joining: AbortController | undefined;

  /** `changed`: the name of the room we are in is another one now. */
  constructor(
    private readonly container: HTMLElement,
    private readonly notices: Notices,
    private readonly changed: () => void,
  ) {
    const room = new URLSearchParams(location.search).get('room')?.trim() || 'demo';
    this.panel = new JoinPanel(room, recall('name') || friendlyName(), {
      submit: () => void this.enter(),
      cancel: () => this.joining?.abort(),
    });
    container.append(this.panel.element);
  }

  /** Empty: in none. */
  get roomName(): string {
    return this.call?.name ?? '';
  }

  async enter(): Promise<void> {
    if (this.joining || this.call) return;
    const { signal } = (this.joining = new AbortController());
    const wish = this.panel.wish();
    this.panel.wait('Joining…');
    try {
      const token = await this.tokenFor(wish);
      if (token && !signal.aborted) await this.open(token, wish, signal);
    } catch (error) {
      if (!signal.aborted) this.panel.explain(error instanceof Error ? error.message : String(error));
    } finally {
      this.joining = undefined;
      this.panel.ready();
    }
  }

  // Null: the server gave none, and the panel now says so and asks for one.
  private async tokenFor(wish: Wish): Promise<string | null> {
    if (wish.token) return wish.token;
    try {
      return (await fetchSession(wish.room, freshIdentity(wish.name), wish.name)).token;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 0) this.panel.explain('The server cannot be reached. Check that it runs and that the network lets you through.');
      else if (error.isRefusal) this.panel.askForToken(`This server is not in development mode, so it gives out no tokens itself. Paste a token to join. (It said: ${error.message})`);
      else this.panel.askForToken(`The server could not make a token: ${error.message}. You can paste one instead.`);
      return null;
    }
  }

  private async open(token: string, wish: Wish, signal: AbortSignal): Promise<void> {
    const room = readClaims(token).room || wish.room;
    // Here and not at the top: the client library is large, and only those who join need it.
    const { RoomView } = await import('./room');
    this.call = await RoomView.join({ ...wish, url: signalUrl(), token, room, signal }, this.notices, (reason) => this.closed(reason));
    if (!wish.token) remember(wish);
    this.panel.element.remove();
    this.container.append(this.call.element);
    this.call.focus();
    this.changed();
  }

  private closed(reason: string | null): void {
    this.call?.element.remove();
    this.call = undefined;
    this.container.append(this.panel.element);
    if (reason) this.panel.explain(reason);
    else this.panel.ready();
    this.panel.focus();
    this.changed();
  }
}

// A reload comes back to the same room, and asks before it joins again.
function remember(wish: Wish): void {
  if (wish.ownName) keep('name', wish.name);
  const address = new URL(location.href);
  address.searchParams.set('room', wish.room);
  address.searchParams.delete('join');
  history.replaceState(null, '', address);
}
