// The collector's API: answers, and what went wrong in words.

/** Longest wait for an answer, in milliseconds. */
const PATIENCE = 15000;
const TOKEN_KEY = 'audit.token';

/** Tells of `connected` and `failed` (detail: the failure). */
export const connection = new EventTarget();

/** An answer that did not come, or was a refusal. */
export class Failure extends Error {
  constructor(kind, message, retryAfter = 0) {
    super(message);
    /** offline, unauthorised, unavailable, or refused. */
    this.kind = kind;
    /** Seconds that the collector asks to wait. */
    this.retryAfter = retryAfter;
  }
}

/** The bearer token, where the collector asks for one; it is forgotten with the tab. */
function token() {
  try { return sessionStorage.getItem(TOKEN_KEY); } catch { return null; }
}

/** Uses this bearer token from now on. */
export function useToken(value) {
  try { sessionStorage.setItem(TOKEN_KEY, value); } catch { /* then there is none */ }
}

/** The address of an API path with the parameters that have a value. */
export function address(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== '') query.set(name, value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** `GET` of JSON. Throws a Failure, or an AbortError when `signal` ends it. */
export async function get(path, parameters, signal) {
  const response = await fetched(address(path, parameters), signal);
  return JSON.parse(await response.text(), exact);
}

/** The bytes of a `GET`, as they come and for as long as they do. Throws as `get` does, also when they break off. */
export async function* pieces(url, signal) {
  const reader = (await fetched(url, signal, [])).body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } catch (error) {
    throw signal.aborted ? error : new Failure('offline', 'The answer broke off.');
  }
}

async function fetched(url, signal, deadline = [AbortSignal.timeout(PATIENCE)]) {
  const secret = token();
  const headers = secret ? { authorization: `Bearer ${secret}` } : {};
  const limits = [...deadline, signal].filter(Boolean);
  try {
    // The origin has no name and password in it, as the page's own address may; with them browsers refuse to ask.
    const response = await fetch(new URL(url, location.origin), { headers, signal: AbortSignal.any(limits) });
    if (!response.ok) throw await refusal(response);
    connection.dispatchEvent(new Event('connected'));
    return response;
  } catch (error) {
    if (signal?.aborted) throw error;
    const failure = error instanceof Failure ? error : new Failure('offline', 'The collector does not answer.');
    connection.dispatchEvent(new CustomEvent('failed', { detail: failure }));
    throw failure;
  }
}

async function refusal(response) {
  const told = await response.json().then((body) => body.message, () => null);
  const message = told ?? `The collector answered with status ${response.status}.`;
  const retryAfter = Number(response.headers.get('retry-after')) || 0;
  if (response.status === 401) return new Failure('unauthorised', message);
  if (response.status === 429 || response.status >= 500) return new Failure('unavailable', message, retryAfter);
  return new Failure('refused', message);
}

/** Whole numbers beyond 2^53 keep their digits, as text. */
function exact(key, value, context) {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || !context) return value;
  return /^-?\d+$/.test(context.source) ? context.source : value;
}
