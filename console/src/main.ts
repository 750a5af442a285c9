// The page: two sections under one head. Leaving a section does not end what goes on in it, a call least of all.
import './style/base.css';
import './style/join.css';
import './style/room.css';
import './style/overview.css';
import { byId, setAttribute, show } from './dom';
import { Lobby } from './lobby';
import { Notices } from './notices';
import { Overview } from './overview';

type Section = 'room' | 'server';

const sections: Record<Section, HTMLElement> = { room: byId('room'), server: byId('server') };
const links = [...document.querySelectorAll<HTMLAnchorElement>('.tabs a')];
const notices = new Notices(byId('notices'));
const lobby = new Lobby(sections.room, notices, title);
const overview = new Overview(sections.server);

function section(): Section {
  return location.hash === '#server' ? 'server' : 'room';
}

function go(): void {
  const here = section();
  for (const [name, element] of Object.entries(sections)) show(element, name === here);
  for (const link of links) setAttribute(link, 'aria-current', link.hash === `#${here}` && 'page');
  overview.select(here === 'server');
  title();
}

function title(): void {
  const words = section() === 'server' ? 'Server' : lobby.roomName;
  document.title = words ? `${words} · Sluicegate` : 'Sluicegate';
}

window.addEventListener('hashchange', go);
go();
if (new URLSearchParams(location.search).get('join') === '1') void lobby.enter();
