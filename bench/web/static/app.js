// The shell: who is signed in, which view is shown, and the stop that is on every one of them.

import { Component, html, render, useEffect, useState } from "./vendor/htm-preact.js";
import { Alarms } from "./alarms.js";
import { api, whenSignedOut } from "./api.js";
import { Audit } from "./audit.js";
import { Channel } from "./channel.js";
import { Handover } from "./handover.js";
import { Help } from "./help.js";
import { History, Run } from "./history.js";
import { Mine } from "./mine.js";
import { Trouble } from "./parts.js";
import { Login, ROLES, Users } from "./people.js";
import { Prompts } from "./prompts.js";
import { Start } from "./start.js";
import { OLD_MS, ageMs, begin, change, end, refresh, store, useStore } from "./store.js";
import { Wall } from "./wall.js";
import { currentLanguage, duration, loadWords, setLanguage, t } from "./words.js";

const STOP_KEY = "F9";
const PLACES = ["wall", "start", "prompts", "alarms", "history", "handover", "help"];

function route() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  let parts = [];
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    // a bad link shows the wall
  }
  return { view: parts[0] || "wall", name: parts.slice(1).join("/"), query: new URLSearchParams(search || "") };
}

/** Stop every run, at once and unasked. What came of it is said where nobody overlooks it. */
async function stopAll() {
  change({ notice: { text: t("stop.asking") } });
  try {
    const runs = await api.abortAll();
    change({ notice: { text: t("stop.asked", { count: Array.isArray(runs) ? runs.length : "?" }), good: true } });
  } catch (problem) {
    change({ notice: { text: t("stop.failed"), problem } });
  }
  refresh();
}

function StopAll() {
  return html`<div class="stop-all"><button type="button" class="stop" onClick=${stopAll} aria-describedby="stop-note">${t("stop.all")}</button>
    <small id="stop-note">${t("stop.note", { key: STOP_KEY })}</small></div>`;
}

function keptTheme() {
  try {
    return localStorage.getItem("theme") || "";
  } catch {
    return "";
  }
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // a browser that keeps nothing
  }
}

function Choices({ lang, theme, pick }) {
  return html`<span class="choices">
    <select aria-label=${t("app.theme")} onChange=${(event) => pick({ theme: event.target.value })}>
      ${["", "light", "dark"].map((each) => html`<option value=${each} selected=${each === theme}>${t(`theme.${each || "system"}`)}</option>`)}</select>
    <button type="button" lang=${lang === "zh" ? "en" : "zh-CN"} class="language" onClick=${() => pick({ lang: lang === "zh" ? "en" : "zh" })}>
      ${lang === "zh" ? "English" : "中文"}</button></span>`;
}

function Head({ view, lang, theme, pick, leave }) {
  const { bench, me } = useStore();
  const late = ageMs() > OLD_MS;
  const counts = { prompts: bench?.prompts ?? 0, alarms: bench?.alarms ?? 0 };
  const holds = (role) => ROLES.indexOf(me.role) >= ROLES.indexOf(role);
  const places = [...PLACES, ...(holds("engineer") ? ["audit"] : []), ...(holds("admin") ? ["users"] : [])];
  return html`<header class="head no-print">
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById("main").focus(); }}>${t("app.skip")}</a>
    <div class="head-row"><strong class="bench-title">${bench ? bench.title || bench.name : "Cellbench"}</strong>
      ${bench && html`<span class="tag">${t(`mode.${bench.mode}`)}</span>`}
      ${bench?.latched && html`<a class="tag alarmed" href="#/alarms">▲ ${t("state.latched")}</a>`}
      <span class="grow"></span><${Choices} lang=${lang} theme=${theme} pick=${pick} />
      <a class="me" href="#/mine">${me.name} · ${t(`role.${me.role}`)}</a><button type="button" onClick=${leave}>${t("app.leave")}</button>
      <${StopAll} /></div>
    <nav aria-label=${t("app.places")}>${places.map((each) => html`<a href=${`#/${each === "wall" ? "" : each}`} aria-current=${each === view ? "page" : null}>
      ${t(`app.${each}`)}${counts[each] ? html` <span class="count">${counts[each]}</span>` : ""}</a>`)}</nav>
    ${late && bench && html`<p class="late-banner" role="alert">${t("app.late", { time: duration(ageMs() / 1000) })}</p>`}
    <${Notice} />
  </header>`;
}

function Notice() {
  const { notice } = useStore();
  return html`<div class="notice-place" aria-live="assertive">${notice && html`<div class=${`notice${notice.problem ? " bad" : ""}`}>
    <strong>${notice.text}</strong> <${Trouble} problem=${notice.problem} />
    <button type="button" onClick=${() => change({ notice: null })}>${t("app.seen")}</button></div>`}</div>`;
}

/** One view that fails does not take the stop away. */
class Fence extends Component {
  componentDidCatch(error) {
    console.error(error);
    this.setState({ error });
  }

  render({ children }, { error }) {
    return error ? html`<p role="alert">${t("app.broken")} ${String(error.message || error)}</p>` : children;
  }
}

function View({ at, theme, lang }) {
  const views = {
    wall: () => html`<${Wall} lang=${lang} />`,
    channel: () => html`<${Channel} key=${at.name} name=${at.name} theme=${theme} lang=${lang} />`,
    start: () => html`<${Start} channel=${at.query.get("channel")} />`,
    prompts: () => html`<${Prompts} />`,
    alarms: () => html`<${Alarms} />`,
    history: () => html`<${History} />`,
    run: () => html`<${Run} key=${at.name} id=${at.name} />`,
    handover: () => html`<${Handover} />`,
    help: () => html`<${Help} code=${at.name} />`,
    audit: () => html`<${Audit} />`,
    users: () => html`<${Users} />`,
    mine: () => html`<${Mine} />`,
  };
  return (views[at.view] || views.wall)();
}

function App() {
  const { me, signedIn } = useStore();
  const [at, setAt] = useState(route);
  const [look, setLook] = useState({ lang: currentLanguage(), theme: keptTheme() });
  const [said, setSaid] = useState("");
  const pick = (fields) => {
    if (fields.lang) setLanguage(fields.lang);
    if ("theme" in fields) setTheme(fields.theme);
    setLook({ ...look, ...fields });
  };
  const enter = (person) => {
    change({ me: person, signedIn: true });
    setSaid("");
    begin();
  };
  useEffect(() => {
    const moved = () => setAt(route());
    const key = (event) => {
      if (event.key !== STOP_KEY || event.repeat || !store.signedIn) return;
      event.preventDefault();
      stopAll();
    };
    window.addEventListener("hashchange", moved);
    document.addEventListener("keydown", key);
    whenSignedOut(() => {
      if (store.signedIn) setSaid(t("login.ended"));
      end();
      change({ me: null, signedIn: false });
    });
    const ask = () => api.me().then(enter, (problem) => {
      if (problem.status !== 401) setTimeout(ask, 2000);
      change({ signedIn: false });
    });
    ask();
    return () => {
      window.removeEventListener("hashchange", moved);
      document.removeEventListener("keydown", key);
    };
  }, []);
  useEffect(() => {
    document.title = `${t(`app.${[...PLACES, "audit", "users", "mine"].includes(at.view) ? at.view : "wall"}`)} · Cellbench`;
    window.scrollTo(0, 0);
  }, [at, look.lang]);
  const leave = async () => {
    await api.logout().catch(() => {});
    end();
    change({ me: null, signedIn: false, bench: null });
  };
  if (signedIn === null) return html`<main><p role="status">${t("loading")}</p></main>`;
  if (!me) return html`<main id="main"><div class="login-top"><${Choices} ...${look} pick=${pick} /></div><${Login} entered=${enter} said=${said} /></main>`;
  return html`<${Head} view=${at.view} ...${look} pick=${pick} leave=${leave} />
    <main id="main" tabindex="-1"><${Fence} key=${`${at.view}/${at.name}`}><${View} at=${at} ...${look} /></${Fence}></main>`;
}

setTheme(keptTheme());
await loadWords();
render(html`<${App} />`, document.getElementById("page"));
