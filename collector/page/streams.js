// The streams: sums over all of them, and a page of those with a status.

import { get } from './api.js';
import { explained } from './completeness.js';
import { el, notice, show } from './dom.js';
import { choice } from './filters.js';
import { count, counted } from './format.js';
import { history } from './history.js';
import { repeat } from './poll.js';
import { badge, card, legend } from './stream.js';
import { changed, go, href, params } from './url.js';

const EVERY = 5000;
const PAGE = 50;
const STATUSES = [['', 'All that go on'], ['gap', 'With missing numbers'], ['open', 'With open numbers'], ['complete', 'Complete'], ['silent', 'Silent'],
  ['ended', 'Ended completely']];

export function streams(root) {
  const body = el('div', null, notice('loading', 'Loading'));
  const status = choice('status', 'Show', STATUSES);
  const older = el('button', { type: 'button', class: 'button older', hidden: true }, 'Older streams');
  const past = history();
  let pages = 1;
  let asked = null;
  let have = false;

  async function look(signal) {
    try {
      const answer = await pagesOf(params().get('status'), pages, signal);
      have = true;
      show(body, tiles(answer), legend(), ended(answer.ended), answer.streams.length > 0 ? answer.streams.map(card) : none());
      older.hidden = answer.next_cursor === null;
    } catch (error) {
      if (!signal.aborted && !have) show(body, notice('error', 'The streams cannot be shown', error.message));
      throw error;
    }
  }

  function update() {
    const wanted = params().get('status') ?? '';
    if (wanted === asked) return;
    asked = status.control.value = wanted;
    pages = 1;
    have = false;
    polling.now();
  }

  status.control.addEventListener('change', () => go(href(changed({ status: status.control.value }))));
  older.addEventListener('click', () => {
    pages += 1;
    polling.now();
  });
  show(root, el('h1', null, 'Streams'),
    el('p', { class: 'muted lead' }, 'Each worker of a proxy numbers its records without gaps, so that a number that is missing can be told.'),
    el('form', { class: 'filters', 'aria-label': 'Which streams', on: { submit: (event) => event.preventDefault() } }, status.whole), body, older, past.node);
  const polling = repeat(EVERY, look);
  update();
  return { update, stop: () => { polling.stop(); past.stop(); } };
}

/** The sums, and the first `pages` pages of the streams. */
async function pagesOf(status, pages, signal) {
  const answer = await get('/api/streams', { status, limit: PAGE }, signal);
  for (let page = 1; page < pages && answer.next_cursor !== null; page += 1) {
    const next = await get('/api/streams', { status, limit: PAGE, cursor: answer.next_cursor }, signal);
    answer.streams.push(...next.streams);
    answer.next_cursor = next.next_cursor;
  }
  return answer;
}

function none() {
  return params().get('status') ? notice('empty', 'No such stream', 'Choose another kind above.')
    : notice('empty', 'No stream goes on', 'A stream begins with the first record of a worker.');
}

function tiles(answer) {
  const tile = (name, number, worth) => el('div', { class: 'tile', 'data-worth': number > 0 ? worth : null }, el('dt', null, name), el('dd', null, count(number)));
  return [
    el('p', { class: 'verdict', 'data-status': answer.status }, badge(answer.status), explained(answer)),
    el('dl', { class: 'tiles' }, tile('Records', answer.records), tile('Losses explained', answer.explained_losses),
      tile('Numbers open', answer.open_numbers, 'look'), tile('Numbers unexplained', answer.unexplained_numbers, 'alarm'), tile('Conflicts', answer.conflicts, 'alarm'),
      tile('Streams silent', answer.silent_streams, 'look')),
  ];
}

/** Streams that ended with every number received or explained have no card of their own. */
function ended({ streams, received, explained_losses: losses }) {
  if (streams === 0) return null;
  return el('p', { class: 'muted' }, `${counted(streams, 'stream')} ended completely: ${counted(received, 'record')}, ${counted(losses, 'lost record')} explained.`);
}
