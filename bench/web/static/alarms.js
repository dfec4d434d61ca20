// Alarms by the states of ISA-18.2: what is wrong, what comes of it, what to do.

import { html, useState } from "./vendor/htm-preact.js";
import { api } from "./api.js";
import { Act, Field, Loading, Password, useLoaded } from "./parts.js";
import { refresh, refreshLists, useStore } from "./store.js";
import { say, t, when } from "./words.js";

const ORDER = { high: 0, medium: 1, low: 2 };
const SHELVE_MINUTES = [15, 60, 240, 480];

export function sorted(alarms) {
  return [...alarms].sort((a, b) => ORDER[a.priority] - ORDER[b.priority] || b.begun_utc_s - a.begun_utc_s);
}

export function Alarms() {
  const { alarms, bench } = useStore();
  const [closed, setClosed] = useState(false);
  return html`<section aria-labelledby="alarms-title">
    <div class="bar"><h1 id="alarms-title">${t("alarms.title")}</h1>
      <button type="button" class="toggle" aria-pressed=${closed} onClick=${() => setClosed(!closed)}>${t("alarms.closed")}</button></div>
    ${bench?.latched && html`<${Latched} />`}
    ${alarms.length === 0 && html`<p class="quiet">${t("alarms.none")}</p>`}
    ${sorted(alarms).map((alarm) => html`<${Alarm} key=${alarm.alarm_id} alarm=${alarm} />`)}
    ${closed && html`<${Closed} />`}
  </section>`;
}

function Alarm({ alarm }) {
  const unseen = alarm.state === "unacknowledged" || alarm.state === "returned_unacknowledged";
  const id = `alarm-${alarm.alarm_id.replace(/[^\w-]/g, "-")}`;
  return html`<article class=${`card alarm priority-${alarm.priority}${unseen ? " unseen" : ""}`} aria-labelledby=${id}>
    <h2 id=${id}><span class="priority">${t(`priority.${alarm.priority}`)}</span> ${say(alarm.text)}</h2>
    <p><span class="tag">${t(`alarmstate.${alarm.state}`)}</span>
      ${alarm.safety && html` <span class="tag">${t("alarms.safety")}</span>`}
      ${alarm.channel && html` <a href=${`#/channel/${encodeURIComponent(alarm.channel)}`}>${alarm.channel}</a>`}
      ${" "}<span class="quiet">${t("alarms.since", { time: when(alarm.begun_utc_s) })}
      ${alarm.returned_utc_s !== null ? ` · ${t("alarms.returned", { time: when(alarm.returned_utc_s) })}` : ""}
      ${alarm.acknowledged_by ? ` · ${t("alarms.by", { name: alarm.acknowledged_by })}` : ""}
      ${alarm.shelved_until_utc_s !== null ? ` · ${t("alarms.until", { time: when(alarm.shelved_until_utc_s) })}` : ""}</span></p>
    <dl><dt>${t("alarms.cause")}</dt><dd>${say(alarm.cause)}</dd><dt>${t("alarms.consequence")}</dt><dd>${say(alarm.consequence)}</dd>
      <dt>${t("alarms.action")}</dt><dd>${say(alarm.action)}</dd></dl>
    ${unseen && html`<div class="acts"><${Act} kind="primary" label=${t("alarms.acknowledge")} act=${() => api.acknowledge(alarm.alarm_id)} done=${refreshLists} /></div>`}
    ${!alarm.safety && alarm.state !== "shelved" && html`<${Shelve} alarm=${alarm} />`}
    ${alarm.safety && html`<p class="quiet">${t("alarms.never_shelved")}</p>`}
  </article>`;
}

function Shelve({ alarm }) {
  const [minutes, setMinutes] = useState(SHELVE_MINUTES[0]);
  const [why, setWhy] = useState("");
  return html`<details><summary>${t("alarms.shelve")}</summary><div class="form">
    <${Field} label=${t("alarms.shelve_for")}><select onChange=${(event) => setMinutes(Number(event.target.value))}>
      ${SHELVE_MINUTES.map((each) => html`<option value=${each} selected=${each === minutes}>${t("alarms.minutes", { count: each })}</option>`)}</select></${Field}>
    <${Field} label=${t("alarms.why")}><input value=${why} onInput=${(event) => setWhy(event.target.value)} /></${Field}></div>
    <${Act} disabled=${!why.trim()} label=${t("alarms.shelve")} act=${() => api.shelve(alarm.alarm_id, { for_s: 60 * minutes, why: why.trim() })} done=${refreshLists} />
  </details>`;
}

/** The bench tripped: who takes the latch away signs for it. */
function Latched() {
  const { me } = useStore();
  const [note, setNote] = useState("");
  const [password, setPassword] = useState("");
  return html`<article class="card alarm priority-high"><h2>${t("latched.title")}</h2><p>${t("latched.note")}</p>
    <details><summary>${t("latched.act")}</summary>
    <${Field} label=${t("latched.what")}><input value=${note} onInput=${(event) => setNote(event.target.value)} /></${Field}>
    <${Password} label=${t("sign.password", { name: me?.name ?? "" })} value=${password} change=${setPassword} note=${t("sign.meaning.unlatch")} />
    <${Act} disabled=${!password || !note.trim()} label=${t("latched.act")} act=${() => api.unlatch({ note: note.trim(), password })} done=${() => { refresh(); refreshLists(); }} />
    </details></article>`;
}

function Closed() {
  const [alarms, problem] = useLoaded(() => api.alarms(true), []);
  if (!alarms) return html`<${Loading} problem=${problem} />`;
  const past = alarms.filter((each) => each.state === "normal");
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${t("alarms.closed")}><table><thead><tr><th>${t("alarms.begun")}</th><th>${t("alarms.priority")}</th>
    <th>${t("alarms.text")}</th><th>${t("alarms.who")}</th></tr></thead><tbody>${past.map((each) => html`<tr key=${each.alarm_id}>
    <td>${when(each.begun_utc_s)}</td><td>${t(`priority.${each.priority}`)}</td><td>${say(each.text)}</td><td>${each.acknowledged_by ?? "–"}</td></tr>`)}</tbody></table></div>`;
}
