// One person: their sessions, and the devices, countries, programs and addresses seen in them.

import { get } from './api.js';
import { el, notice, show } from './dom.js';
import { exportForm } from './exports.js';
import { counted } from './format.js';
import { repeat } from './poll.js';
import { time } from './records.js';
import { renew, sessionRow, sessionTable } from './session.js';
import { traits } from './traits.js';
import { href, params } from './url.js';

const EVERY = 10000;
/** Sessions of a page, for each of which one request reads its signals; and records that are looked through. */
const PAGE = 20;
const RECORDS = 500;
/** Requests for signals at the same time. */
const AT_ONCE = 4;

/** The way to the view of a person, by the user id. */
export function personLink(user) {
  return el('a', { href: href({ view: 'person', user }), 'data-link': true }, 'Sessions, devices and countries of this person');
}

/** The person of the parameter `user`, a user id. */
export function person(root) {
  let user;
  let inner = null;

  function update() {
    const wanted = params().get('user') ?? '';
    if (wanted === user) return;
    inner?.stop();
    user = wanted;
    inner = one(root, user);
  }

  update();
  return { update, stop: () => inner.stop() };
}

function one(root, user) {
  const head = el('div', { class: 'session-head' });
  const groups = el('div', { class: 'traits' });
  const { whole, body } = sessionTable('Sessions of this person, last seen first');
  const state = el('div', { class: 'list-state' }, notice('loading', 'Loading'));
  const older = el('button', { type: 'button', class: 'button older', hidden: true }, 'Older sessions');
  const exports = exportForm(() => ({ user }));
  const readSignals = signalReader();
  let pages = 1;

  async function look(signal) {
    try {
      const [found, { records }] = await Promise.all([sessionsOf(user, pages, signal), get('/api/records', { user, limit: RECORDS }, signal)]);
      const sessions = await readSignals(found.sessions, signal);
      draw(found, sessions, records);
    } catch (error) {
      if (!signal.aborted && body.rows.length === 0) show(state, notice('error', 'This person cannot be shown', error.message));
      throw error;
    }
  }

  function draw({ sessions, more }, withSignals, records) {
    show(head, summary(user, sessions, records));
    show(groups, traits(withSignals, records).map(panel));
    renew(body, sessions.map(sessionRow));
    whole.hidden = sessions.length === 0;
    older.hidden = !more;
    const none = records.length === 0 ? 'No record has this user id.' : 'The records of this person name no session.';
    show(state, sessions.length > 0 ? null : notice('empty', 'No session', none));
  }

  older.addEventListener('click', () => {
    pages += 1;
    polling.now();
  });
  const sources = `Devices and countries are those of the sessions below, the others those of the latest ${RECORDS} records.`;
  show(root, head, exports.form, groups, el('p', { class: 'muted lead' }, sources), el('h2', null, 'Sessions'), whole, state, older);
  const polling = repeat(EVERY, look);
  polling.now();
  return { stop: () => { polling.stop(); exports.stop(); } };
}

/** The newest `pages` pages of sessions, and whether there are more. */
async function sessionsOf(user, pages, signal) {
  const sessions = [];
  let cursor;
  for (let page = 0; page < pages && cursor !== null; page += 1) {
    const answer = await get('/api/sessions', { user, limit: PAGE, cursor }, signal);
    sessions.push(...answer.sessions);
    cursor = answer.next_cursor;
  }
  return { sessions, more: cursor !== null };
}

/** Yields pairs of session and signals; they are read again only of a session that has had a record since. */
function signalReader() {
  const known = new Map();

  async function read(session, signal) {
    const seen = known.get(session.key);
    if (seen?.at === session.last_seen_unix_nano) return;
    known.set(session.key, { at: session.last_seen_unix_nano, signals: await signalsOf(session.key, signal) });
  }

  return async (sessions, signal) => {
    const waiting = [...sessions];
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) await read(next, signal);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return sessions.map((session) => [session, known.get(session.key).signals]);
  };
}

async function signalsOf(key, signal) {
  try {
    return (await get(`/api/sessions/${encodeURIComponent(key)}`, { limit: 1 }, signal)).signals;
  } catch (error) {
    // It was deleted by retention since the list was read.
    if (error.kind === 'refused') return [];
    throw error;
  }
}

function summary(user, sessions, records) {
  const fact = (name, ...value) => el('div', { class: 'fact' }, el('dt', null, name), el('dd', null, value));
  const name = sessions.find((session) => session.user_name)?.user_name ?? records.find((record) => record['user.name'])?.['user.name'];
  const seen = records[0]?.time_unix_nano ?? sessions[0]?.last_seen_unix_nano;
  return [
    el('h1', null, String(name ?? (user || 'Nobody'))),
    el('dl', { class: 'facts-row' }, fact('User id', user), seen ? fact('Last seen', time(seen, false)) : null,
      fact('Open sessions', String(sessions.filter((session) => session.state === 'open').length))),
    el('p', { class: 'links' }, el('a', { href: href({ user }), 'data-link': true }, 'Their records in the live view')),
  ];
}

/** The values of one kind; a second device or country is worth a look. */
function panel({ title, values }) {
  const cells = ({ value, first, last, sessions }) => el('tr', null, el('th', { scope: 'row' }, value),
    el('td', null, time(first, false)), el('td', null, time(last, false)), el('td', { class: 'mono' }, sessions.size));
  const heads = ['Value', 'First seen', 'Last seen', 'Sessions'];
  return el('section', { class: 'trait' }, el('h2', null, title, ' ', el('span', { class: 'muted' }, values.length)),
    values.length === 0 ? el('p', { class: 'muted' }, 'None is known.')
      : el('table', { class: 'numbers', 'aria-label': `${title}: ${counted(values.length, 'value')}` },
        el('thead', null, el('tr', null, heads.map((text) => el('th', { scope: 'col' }, text)))), el('tbody', null, values.map(cells))));
}
