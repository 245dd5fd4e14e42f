// What is known of a person's side: the devices, countries, programs and addresses of sessions and records.

/** Signals with a name of their own on the page; the others keep theirs. */
const SIGNALS = { device_id: 'Devices', country: 'Countries' };
/** Attributes of records that describe the person's side, in the order of the page. */
const ATTRIBUTES = { 'user_agent.original': 'Programs', 'client.address': 'Addresses', 'user.name': 'Names', 'user.email': 'E-mails' };

/**
 * Groups of values, each value with the time it was first and last seen and the sessions it was seen in. `sessions`
 * are pairs of a session and its signals; `records` have the attributes.
 */
export function traits(sessions, records) {
  const groups = new Map([...Object.values(SIGNALS), ...Object.values(ATTRIBUTES)].map((title) => [title, new Map()]));
  for (const [session, signals] of sessions) {
    for (const { name, value, from, to } of spells(session, signals)) {
      const title = SIGNALS[name] ?? name.replaceAll('_', ' ');
      if (!groups.has(title)) groups.set(title, new Map());
      see(groups.get(title), value, from, to, session.key);
    }
  }
  for (const record of records) {
    for (const [name, title] of Object.entries(ATTRIBUTES)) {
      const session = record['session.id'] ?? record['session.token_ref'];
      if (record[name] !== undefined) see(groups.get(title), String(record[name]), record.time_unix_nano, record.time_unix_nano, session);
    }
  }
  return [...groups].map(([title, values]) => ({ title, values: [...values.values()].sort((a, b) => Number(b.last - a.last)) }))
    .filter((group) => group.values.length > 0 || Object.values(SIGNALS).includes(group.title));
}

/** How long each signal had its value: until the next one of its name, or the end of the session. */
function spells(session, signals) {
  const until = new Map();
  return [...signals].reverse().map(({ name, value, since_unix_nano: from }) => {
    const to = until.get(name) ?? session.last_seen_unix_nano;
    until.set(name, from);
    return { name, value: String(value), from, to };
  });
}

function see(values, value, from, to, session) {
  const [first, last] = [BigInt(from), BigInt(to)];
  const known = values.get(value) ?? { value, first, last, sessions: new Set() };
  if (first < known.first) known.first = first;
  if (last > known.last) known.last = last;
  if (session !== undefined) known.sessions.add(session);
  values.set(value, known);
}
