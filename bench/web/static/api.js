// Every request of the page: one function a route, so that a path is written once.

/** What the bench refused or could not do, as RFC 9457 tells it; `status` 0 is a bench that did not answer. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || "");
    this.status = status;
    this.code = body.code || (status ? `http-${status}` : "unreachable");
    this.detail = body.detail || body.title || "";
    this.fix = body.fix || "";
    this.faults = body.faults || [];
  }
}

const ROOT = "/api/v1";
const ANSWER_WITHIN_MS = 30000;
let onSignedOut = () => {};

export function whenSignedOut(act) {
  onSignedOut = act;
}

async function ask(method, path, body, headers = {}) {
  const sent = { Accept: "application/json", ...headers };
  if (method !== "GET") sent["X-Cellbench"] = "1";
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(ROOT + path, {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
  } catch (error) {
    throw new Problem(0, { detail: String(error.message || error) });
  }
  const text = await answer.text();
  let said = null;
  try {
    said = text ? JSON.parse(text) : null;
  } catch {
    said = { detail: text.slice(0, 300) };
  }
  if (answer.ok) return said;
  const problem = new Problem(answer.status, said || {});
  if (answer.status === 401 && path !== "/login") onSignedOut(problem);
  throw problem;
}

const get = (path) => ask("GET", path);
const post = (path, body = {}, headers = {}) => ask("POST", path, body, headers);
const part = encodeURIComponent;

function query(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return text ? `?${text}` : "";
}

/** A key of one intent: sent twice it is carried out once. */
export const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (each) => each.toString(16).padStart(2, "0")).join("");

export const EVENTS = `${ROOT}/events`;

export const api = {
  me: () => get("/me"),
  login: (name, password) => post("/login", { name, password }),
  logout: () => post("/logout"),
  bench: async () => (await get("/benches"))[0],
  prompts: () => get("/prompts"),
  alarms: (closed = false) => get(`/alarms${query({ closed: closed || null })}`),
  sequences: () => get("/sequences"),
  cells: () => get("/cells"),
  samples: (search = "", limit = 50) => get(`/samples${query({ search, limit })}`),
  check: (request) => post("/check", request),
  start: (body, key) => post("/runs", body, { "Idempotency-Key": key }),
  runs: (fields = {}) => get(`/runs${query(fields)}`),
  run: (id) => get(`/runs/${part(id)}`),
  stop: (id) => post(`/runs/${part(id)}/stop`),
  pause: (id) => post(`/runs/${part(id)}/pause`),
  resume: (id) => post(`/runs/${part(id)}/resume`),
  abortAll: () => post("/abort"),
  unlatch: (body) => post("/ack", body),
  answer: (id, body) => post(`/prompts/${part(id)}/answer`, body),
  judge: (run, body) => post(`/runs/${part(run)}/judgements`, body),
  acknowledge: (id) => post(`/alarms/${part(id)}/acknowledge`),
  shelve: (id, body) => post(`/alarms/${part(id)}/shelve`, body),
  readings: (fields) => get(`/readings${query(fields)}`),
  files: (run) => get(`/bundles/${part(run)}`),
  reportLink: (run, lang) => `${ROOT}/bundles/${part(run)}/report${query({ lang })}`,
  bundleLink: (run) => `${ROOT}/bundles/${part(run)}/archive`,
  users: () => get("/users"),
  addUser: (body) => post("/users", body),
  changeUser: (name, body) => ask("PATCH", `/users/${part(name)}`, body),
  audit: (fields = {}) => get(`/audit${query(fields)}`),
  ownPassword: (body) => post("/me/password", body),
  tokens: () => get("/tokens"),
  addToken: (body) => post("/tokens", body),
  endToken: (id) => ask("DELETE", `/tokens/${part(id)}`),
  notes: (limit = 50) => get(`/notes${query({ limit })}`),
  addNote: (text, key) => post("/notes", { text }, { "Idempotency-Key": key }),
  closeRun: (id, body) => post(`/runs/${part(id)}/close`, body),
};
