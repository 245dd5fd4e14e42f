// The streams: which numbers of each have arrived, and what became of the others.

import { get } from './api.js';
import { STATUS, explained } from './completeness.js';
import { el, icon, notice, show, svg } from './dom.js';
import { clock, count, counted } from './format.js';
import { repeat } from './poll.js';
import { href } from './url.js';

const EVERY = 5000;
/** Width of the bar in its own units, and the least width of a mark on it. */
const WIDTH = 1000;
const LEAST = 5;

export function streams(root) {
  const body = el('div', null, notice('loading', 'Loading'));
  show(root, el('h1', null, 'Streams'),
    el('p', { class: 'muted lead' }, 'Each worker of a proxy numbers its records without gaps, so that a number that is missing can be told.'), body);
  let have = false;
  const polling = repeat(EVERY, async (signal) => {
    try {
      const answer = await get('/api/streams', {}, signal);
      have = true;
      show(body, tiles(answer), legend(), ended(answer.ended), answer.streams.length > 0 ? answer.streams.map(card)
        : notice('empty', 'No stream goes on', 'A stream begins with the first record of a worker.'), rest(answer));
    } catch (error) {
      if (!signal.aborted && !have) show(body, notice('error', 'The streams cannot be shown', error.message));
      throw error;
    }
  });
  polling.now();
  return { update() {}, stop: polling.stop };
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

function rest(answer) {
  if (answer.next_cursor === null) return null;
  return el('p', { class: 'muted' }, `Only the ${counted(answer.streams.length, 'stream')} seen last are shown.`);
}

function badge(status) {
  return el('span', { class: 'badge', 'data-status': status }, icon(status), STATUS[status] ?? status);
}

function legend() {
  const key = (kind, words) => el('span', { class: 'key' }, svg('svg', { class: 'bar key-bar', viewBox: '0 0 24 12', 'aria-hidden': 'true' },
    svg('rect', { class: 'received', width: 24, height: 12 }), mark(kind, 8, 8)), words);
  return el('p', { class: 'legend muted' }, key('none', 'received'), key('loss', 'lost, explained'), key('open', 'open'), key('gap', 'missing, unexplained'));
}

/** Kinds differ in height as well as in colour. */
function mark(kind, x, width) {
  const shapes = { loss: [8, 4], open: [4, 8], gap: [0, 12] };
  if (!(kind in shapes)) return null;
  const [y, height] = shapes[kind];
  return [svg('rect', { class: 'hole', x, y: 0, width, height: 12 }), svg('rect', { class: kind, x, y, width, height })];
}

/** The words for the life of a stream. */
const LIFE = { ended: 'ended', crashed: 'ended by a crash of its VM', alive: 'alive', silent: 'silent', unknown: 'no end yet' };

function card(stream) {
  const life = [stream.started ? 'start seen' : 'start not seen', LIFE[stream.life] ?? 'no end yet'].join(', ');
  return el('article', { class: 'stream', 'data-stream': stream.stream_id },
    el('header', null,
      el('h2', null, stream.service || 'unnamed service'), badge(stream.status),
      el('a', { class: 'mono id', href: href({ stream: stream.stream_id }), 'data-link': true, title: 'Its records' }, stream.stream_id)),
    bar(stream),
    el('p', { class: 'muted facts' },
      `${counted(stream.received, 'record')}, numbers ${count(stream.first_number)} to ${count(stream.last_number)}; ${life}; `,
      `seen ${clock(stream.first_seen_unix_nano, false)} to ${clock(stream.last_seen_unix_nano, false)}`),
    silence(stream), holes(stream));
}

/** What cannot be known of a stream that promised to be heard of, and is not. */
function silence(stream) {
  if (stream.life !== 'silent') return null;
  const most = stream.unknown_at_most === null ? 'It is not known how many records' : `No more than ${counted(stream.unknown_at_most, 'record')}`;
  return el('p', { class: 'silence' }, icon('open'),
    `Killed, or it cannot reach the collector. ${most} that it made after ${clock(stream.unknown_since_unix_nano, false)} are unknown.`);
}

function bar(stream) {
  const end = Math.max(stream.last_number, (stream.next_number ?? 0) - 1, 0) + 1;
  const at = (number) => number / end * WIDTH;
  const drawn = (kind) => (range) => {
    const width = Math.max(at(range.last_number + 1) - at(range.first_number), LEAST);
    return mark(kind(range), Math.min(at(range.first_number), WIDTH - width), width);
  };
  const label = `Numbers 0 to ${end - 1}: ${counted(stream.received, 'record')} received, ${stream.gaps.length} gaps, ${stream.losses.length} losses`;
  return svg('svg', { class: 'bar', viewBox: `0 0 ${WIDTH} 12`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    svg('rect', { class: 'received', width: WIDTH, height: 12 }),
    stream.losses.map(drawn(() => 'loss')), stream.gaps.map(drawn((gap) => gap.state)));
}

function holes(stream) {
  const range = (first, last) => (first === last ? `number ${count(first)}` : `numbers ${count(first)} to ${count(last)}`);
  const gaps = stream.gaps.map((gap) => el('li', { class: `hole-${gap.state}` }, icon(gap.state),
    `${gap.state === 'gap' ? 'Missing, unexplained' : 'Not here yet'}: ${range(gap.first_number, gap.last_number)}, since ${clock(gap.since_unix_nano, false)}`));
  const losses = stream.losses.map((loss) => el('li', { class: 'hole-loss' }, icon('aborted'),
    `Lost: ${counted(loss.count, 'record')} for ${String(loss.reason).replaceAll('_', ' ')}, ${range(loss.first_number, loss.last_number)}`));
  return gaps.length + losses.length === 0 ? null : el('ul', { class: 'holes' }, gaps, losses);
}
