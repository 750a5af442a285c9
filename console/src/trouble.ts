// What went wrong, in words for the person in front of the page.
import { ConnectionError, ConnectionErrorReason, DisconnectReason } from 'livekit-client';

export type Device = 'camera' | 'microphone' | 'screen';

export function deviceTrouble(error: unknown, device: Device): string {
  if (!navigator.mediaDevices) {
    return `The browser gives the ${device} only to pages on https:// or on localhost. You can still see and hear the others.`;
  }
  switch (nameOf(error)) {
    case 'NotAllowedError':
    case 'SecurityError':
      return device === 'screen'
        ? 'The screen is not shared: the browser or you said no.'
        : `The browser does not let this page use the ${device}. Allow it beside the address, then switch the ${device} on.`;
    case 'NotFoundError':
    case 'DevicesNotFoundError':
      return `No ${device} was found.`;
    case 'NotReadableError':
    case 'TrackStartError':
    case 'AbortError':
      return `The ${device} could not be started. Perhaps another program uses it.`;
    case 'OverconstrainedError':
      return `The ${device} cannot do what was asked of it.`;
    case 'PublishTrackError':
      return `The server did not accept the ${device}: ${messageOf(error)}`;
    case 'NotSupportedError':
      return `This browser cannot give the ${device} to a page.`;
  }
  return `The ${device} could not be switched: ${messageOf(error)}`;
}

export function connectTrouble(error: unknown): string {
  if (!(error instanceof ConnectionError)) return `Joining did not work: ${messageOf(error)}`;
  switch (error.reason) {
    case ConnectionErrorReason.NotAllowed:
      return `The server did not accept the token: ${messageOf(error)}`;
    case ConnectionErrorReason.ServerUnreachable:
    case ConnectionErrorReason.WebSocket:
      return 'The server cannot be reached. Check that it runs and that the network lets you through.';
    case ConnectionErrorReason.Timeout:
      return 'The server took too long to answer. Try again.';
    case ConnectionErrorReason.ServiceNotFound:
      return 'There is no media server at this address.';
    case ConnectionErrorReason.Cancelled:
      return 'Joining was called off.';
    case ConnectionErrorReason.LeaveRequest:
      return endReason(error.context as DisconnectReason) ?? 'The server sent you away while you were joining.';
  }
  // The client says "could not establish pc connection": the signal came through and the media did not.
  return /pc connection|peer ?connection/i.test(messageOf(error))
    ? 'The server answered, but media could not get through. A firewall may be in the way, or the server gives out an address that cannot be reached from here.'
    : `Joining did not work: ${messageOf(error)}`;
}

/** Null: the visitor left and knows it. */
export function endReason(reason: DisconnectReason | undefined): string | null {
  switch (reason) {
    case DisconnectReason.CLIENT_INITIATED:
      return null;
    case DisconnectReason.DUPLICATE_IDENTITY:
      return 'You joined this room with the same identity from elsewhere, so this page has left it.';
    case DisconnectReason.SERVER_SHUTDOWN:
      return 'The server is shutting down.';
    case DisconnectReason.PARTICIPANT_REMOVED:
      return 'You were removed from the room.';
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return 'The room was closed.';
    case DisconnectReason.STATE_MISMATCH:
      return 'Page and server no longer agreed about the room. Join again.';
    case DisconnectReason.JOIN_FAILURE:
      return 'Joining did not work.';
  }
  return 'The connection was lost and could not be made again. Join once more when the network is back.';
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
