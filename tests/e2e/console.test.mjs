// The console as a person sees it: two pages in one room, who is there, what moves, what the server section shows.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startChromium } from './chromium.mjs';
import { freshRoom, startServer } from './server.mjs';

let server;
let chromium;
const contexts = [];
before(async () => { [server, chromium] = [await startServer(), await startChromium()]; });
after(async () => {
  for (const context of contexts) await context.close();
  await chromium?.stop();
  await server?.stop();
});

async function open(query, viewport = { width: 1280, height: 800 }) {
  const context = await chromium.browser.newContext({ viewport });
  contexts.push(context);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(error.message));
  await page.goto(`${server.http}/console${query}`);
  return page;
}

// Frames that the video of a participant's tile showed in a second.
const framesOf = (page, identity) => page.evaluate(async (who) => {
  const shown = () => document.querySelector(`[data-identity="${who}"] video`)?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
  const before = shown();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return shown() - before;
}, identity);

async function others(page) {
  await page.waitForFunction(() => document.querySelectorAll('[data-identity]').length === 2);
  return page.evaluate(() => [...document.querySelectorAll('[data-identity]')].map((tile) => tile.dataset.identity));
}

test('two people meet by the link, see and hear each other, and are listed', { timeout: 120_000 }, async () => {
  const room = freshRoom('console');
  const ann = await open(`?room=${room}&join=1`);
  const ben = await open(`?room=${room}&join=1`, { width: 360, height: 740 });
  assert.ok(ann.url().includes('/console/?room='), `redirected to ${ann.url()}`);
  const identities = await others(ann);
  assert.deepEqual((await others(ben)).sort(), [...identities].sort());
  for (const page of [ann, ben]) {
    for (const identity of identities) {
      await page.waitForFunction((who) => document.querySelector(`[data-identity="${who}"] video`)?.videoWidth > 0, identity);
      assert.ok(await framesOf(page, identity) > 2, `${identity} moves`);
      // the fake microphone beeps
      await page.waitForFunction((who) => document.querySelector(`[data-identity="${who}"][data-speaking]`), identity);
    }
  }
  if (process.env.E2E_SHOTS) {
    await ann.screenshot({ path: `${process.env.E2E_SHOTS}/console.png` });
    await ben.screenshot({ path: `${process.env.E2E_SHOTS}/console-phone.png` });
  }
  const wide = () => [...document.querySelectorAll('*')].filter((e) => e.getBoundingClientRect().right > 361 && e.closest('[hidden]') === null);
  assert.deepEqual(await ben.evaluate((f) => eval(f)().map((e) => `${e.tagName}.${e.className} ${e.getBoundingClientRect().right}`), wide.toString()), [], 'fits a phone');

  const overview = await (await fetch(`${server.http}/console/api/overview`)).json();
  const listed = overview.rooms.find((shown) => shown.name === room);
  assert.equal(listed.participants.length, 2);
  for (const participant of listed.participants) {
    assert.deepEqual(participant.tracks.map((track) => track.source).sort(), ['CAMERA', 'MICROPHONE']);
  }
  assert.ok(overview.figures.packets_up > 100 && overview.figures.packets_down > 100, JSON.stringify(overview.figures));
  await ben.click('[data-control="leave"]');
  await ann.waitForFunction(() => document.querySelectorAll('[data-identity]').length === 1);
  assert.deepEqual([...ann.errors, ...ben.errors], []);
});
