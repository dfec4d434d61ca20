// What people are asked: confirmations with entries, leaves by name, judgements by the standard's definition.

import { html, useState } from "./vendor/htm-preact.js";
import { api } from "./api.js";
import { limits, outside } from "./entries.js";
import { Act, Field, Password } from "./parts.js";
import { refreshLists, useStore } from "./store.js";
import { say, t, when } from "./words.js";

export function Prompts() {
  const { prompts } = useStore();
  return html`<section aria-labelledby="prompts-title"><h1 id="prompts-title">${t("prompts.title")}</h1>
    ${prompts.length === 0 && html`<p class="quiet">${t("prompts.none")}</p>`}
    ${prompts.map((prompt) => html`<${Prompt} key=${prompt.prompt_id} prompt=${prompt} />`)}</section>`;
}

// Pictures of the acts that a person is asked for; a bench may name one of its own.
const PICTURES = {
  carry: "M10 40h30M25 40V15M15 15h20v-8H15zM60 40h30M75 40V22M65 22h20v-8H65zM42 22h16m-5-5 5 5-5 5",
  confirm: "M15 8h60v40H15zM28 28l12 12 24-26",
  permit: "M45 6l36 40H9zM45 20v12M45 37v3",
  judge: "M10 28q35-36 70 0q-35 36-70 0zM45 18a10 10 0 1 0 .01 0z",
};

function Picture({ prompt }) {
  if (prompt.picture && /^(\/|static\/)/.test(prompt.picture)) return html`<img class="picture" src=${prompt.picture} alt="" />`;
  const path = PICTURES[prompt.what.split(".")[0]] || PICTURES[prompt.kind];
  return html`<svg class="picture" viewBox="0 0 90 54" aria-hidden="true" focusable="false"><path d=${path} /></svg>`;
}

export function Prompt({ prompt }) {
  const { me } = useStore();
  const [entries, setEntries] = useState({});
  const [note, setNote] = useState("");
  const [password, setPassword] = useState("");
  const judging = prompt.kind === "judge";
  const barred = prompt.not_by.some((each) => each.toLowerCase() === me?.name.toLowerCase());
  const unsigned = prompt.signed && !password;
  const beyond = prompt.entries.filter((entry) => outside(entry, entries[entry.name]));
  const answer = (yes) => () =>
    api.answer(prompt.prompt_id, { yes, entries: yes ? entries : {}, note, ...(prompt.signed ? { password } : {}) });
  const id = `prompt-${prompt.prompt_id.replace(/[^\w-]/g, "-")}`;
  return html`<article class=${`card prompt${prompt.hazardous ? " hazard" : ""}`} aria-labelledby=${id}>
    <${Picture} prompt=${prompt} />
    <h2 id=${id}>${t(`prompt.kind.${prompt.kind}`)}: <a href=${`#/channel/${encodeURIComponent(prompt.channel)}`}>${prompt.channel}</a></h2>
    <p class="prompt-text">${say(prompt.text)}</p>
    ${prompt.hazardous && html`<p><strong>${t("prompt.hazardous")}</strong></p>`}
    ${prompt.definition && html`<blockquote><strong>${t("prompt.definition")}</strong> ${say(prompt.definition)}
      <footer>${prompt.source}</footer></blockquote>`}
    ${prompt.shown.length > 0 && html`<div><strong>${t("prompt.shown")}</strong><ul>${prompt.shown.map((each) => html`<li>${each}</li>`)}</ul></div>`}
    ${prompt.not_by.length > 0 && html`<p>${t("prompt.not_by", { names: prompt.not_by.join(", ") })}</p>`}
    <div class="form">${prompt.entries.map((entry) => html`<${Field} key=${entry.name} label=${say(entry.label)}
      note=${[limits(entry), entry.example ? t("prompt.example", { example: entry.example }) : ""].filter(Boolean).join("; ")}>
      <input autocomplete="off" aria-invalid=${beyond.includes(entry) ? "true" : null} value=${entries[entry.name] ?? ""} placeholder=${entry.example ?? ""}
        onInput=${(event) => setEntries({ ...entries, [entry.name]: event.target.value })} /></${Field}>`)}</div>
    ${beyond.map((entry) => html`<p key=${entry.name} role="alert">${t("prompt.outside", { label: say(entry.label), limits: limits(entry) })}</p>`)}
    <${Field} label=${t("prompt.note")}><input autocomplete="off" value=${note} onInput=${(event) => setNote(event.target.value)} /></${Field}>
    ${prompt.signed && html`<${Password} label=${t("sign.password", { name: me?.name ?? "" })} value=${password} change=${setPassword}
      note=${t(`sign.meaning.${prompt.kind}`)} />`}
    <div class="acts">
      <${Act} kind="primary" disabled=${unsigned || barred || beyond.length > 0} label=${t(judging ? "prompt.yes" : `prompt.do.${prompt.kind}`)} act=${answer(true)} done=${refreshLists} />
      <${Act} disabled=${unsigned} label=${t(judging ? "prompt.no" : "prompt.refuse")} act=${answer(false)} done=${refreshLists} />
    </div>
    <p class="quiet">${t("prompt.asked", { time: when(prompt.asked_utc_s), run: prompt.run_id })}</p>
  </article>`;
}
