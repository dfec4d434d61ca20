// What the next shift must know, on one page that prints.

import { html, useState } from "./vendor/htm-preact.js";
import { sorted } from "./alarms.js";
import { api, newKey } from "./api.js";
import { Act, Field, Loading, State, Trouble, useLoaded } from "./parts.js";
import { useStore } from "./store.js";
import { duration, say, t, when } from "./words.js";

export function Handover() {
  const { bench, alarms, prompts, me } = useStore();
  const [samples, problem] = useLoaded(() => api.samples("quarantine", 200), []);
  if (!bench) return html`<${Loading} />`;
  const busy = bench.channels.filter((each) => each.run_id || each.needs_me);
  const shelved = alarms.filter((each) => each.state === "shelved");
  const open = sorted(alarms.filter((each) => each.state !== "shelved"));
  const list = (items, draw) => (items.length ? html`<ul>${items.map(draw)}</ul>` : html`<p>${t("handover.nothing")}</p>`);
  const alarmLine = (each) => html`<li key=${each.alarm_id}><strong>${t(`priority.${each.priority}`)}</strong> ${each.channel ?? ""} ${say(each.text)}
    (${t(`alarmstate.${each.state}`)}, ${when(each.begun_utc_s)}) ${say(each.action)}</li>`;
  return html`<section class="handover" aria-labelledby="handover-title">
    <div class="bar"><h1 id="handover-title">${t("handover.title", { bench: bench.title || bench.name })}</h1>
      <button type="button" class="no-print" onClick=${() => window.print()}>${t("handover.print")}</button></div>
    <p>${t("handover.made", { time: when(bench.utc_s), name: me?.name ?? "" })}${bench.mode === "simulated" ? ` · ${t("mode.simulated")}` : ""}</p>
    <h2>${t("handover.alarms", { count: open.length })}</h2>${bench.latched && html`<p><strong>${t("latched.title")}</strong></p>`}
    ${list(open, alarmLine)}
    <h2>${t("handover.shelved", { count: shelved.length })}</h2>${list(shelved, alarmLine)}
    <h2>${t("handover.prompts", { count: prompts.length })}</h2>
    ${list(prompts, (each) => html`<li key=${each.prompt_id}>${each.channel}: ${say(each.text)} (${when(each.asked_utc_s)})</li>`)}
    <h2>${t("handover.runs", { count: busy.length })}</h2>
    ${list(busy, (each) => html`<li key=${each.name}>${each.name} <${State} state=${each.state} /> ${each.sequence ?? ""} ${each.sample ?? ""}
      ${each.step ? ` · ${each.step.name || each.step.kind} · ${each.step.ends}` : ""}
      ${each.step?.remaining_s != null ? ` · ${t("step.left", { time: duration(each.step.remaining_s) })}` : ""} ${say(each.why)}</li>`)}
    <h2>${t("handover.samples", { count: samples ? samples.length : "…" })}</h2><${Trouble} problem=${problem} />
    ${samples && list(samples, (each) => html`<li key=${each.id}>${each.id} · ${each.type} · ${each.serial} · ${each.state}</li>`)}
    <h2>${t("handover.notes")}</h2>
    <${Notes} />
    <p class="signatures"><span>${t("handover.gives")}</span><span>${t("handover.takes")}</span></p>
  </section>`;
}

/** What was written down for the next shift: everybody at this bench sees it. */
function Notes() {
  const { bench, me } = useStore();
  const [notes, problem, again] = useLoaded(() => api.notes(), [bench.seq]);
  const [text, setText] = useState("");
  const [key, setKey] = useState(newKey);
  const kept = () => {
    setText("");
    setKey(newKey());
    again();
  };
  return html`${notes ? html`<ul class="notes">${notes.map((each) => html`<li key=${`${each.utc_s}${each.text}`}><strong>${each.by}</strong>, ${when(each.utc_s)}: ${each.text}</li>`)}</ul>`
    : html`<${Loading} problem=${problem} />`}
    ${notes && notes.length === 0 && html`<p>${t("handover.nothing")}</p>`}
    ${me.role !== "viewer" && html`<div class="no-print"><${Field} label=${t("handover.notes_label")} note=${t("handover.notes_kept")}>
      <textarea rows="3" maxlength="2000" value=${text} onInput=${(event) => setText(event.target.value)}></textarea></${Field}>
      <${Act} disabled=${!text.trim()} label=${t("handover.notes_add")} act=${() => api.addNote(text, key)} done=${kept} /></div>`}`;
}
