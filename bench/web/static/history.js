// Past and present runs: search, one run's record, its report and bundle, and what still has to be judged.

import { html, useState } from "./vendor/htm-preact.js";
import { api } from "./api.js";
import { Act, Faults, Field, Loading, Password, Trouble, useLoaded } from "./parts.js";
import { refresh, useStore } from "./store.js";
import { currentLanguage, say, t, when } from "./words.js";

const PAGE = 50;

export function History() {
  const [words, setWords] = useState("");
  const [asked, setAsked] = useState("");
  const [older, setOlder] = useState([]);
  const [problemOlder, setProblemOlder] = useState(null);
  const [runs, problem] = useLoaded(() => api.runs({ search: asked, limit: PAGE }), [asked]);
  const all = runs ? [...runs, ...older] : [];
  const more = async () => {
    try {
      setOlder([...older, ...(await api.runs({ search: asked, limit: PAGE, before: all[all.length - 1].run_id }))]);
    } catch (error) {
      setProblemOlder(error);
    }
  };
  const search = (event) => {
    event.preventDefault();
    setOlder([]);
    setAsked(words.trim());
  };
  return html`<section aria-labelledby="history-title"><h1 id="history-title">${t("history.title")}</h1>
    <form class="bar" role="search" onSubmit=${search}><label class="inline">${t("history.search")}
      <input type="search" value=${words} onInput=${(event) => setWords(event.target.value)} /></label>
      <button type="submit">${t("history.find")}</button></form>
    ${!runs ? html`<${Loading} problem=${problem} />` : html`<div class="scroll" tabindex="0" role="region" aria-label=${t("history.title")}><table>
      <thead><tr><th>${t("history.run")}</th><th>${t("history.begun")}</th><th>${t("history.sequence")}</th><th>${t("history.channel")}</th>
      <th>${t("history.sample")}</th><th>${t("history.operator")}</th><th>${t("history.state")}</th><th>${t("history.verdict")}</th></tr></thead>
      <tbody>${all.map((run) => html`<tr key=${run.run_id}><td><a href=${`#/run/${encodeURIComponent(run.run_id)}`}>${run.run_id}</a></td>
        <td>${when(run.begun_utc_s)}</td><td>${run.sequence}</td><td>${run.channel}</td><td>${run.sample ?? "–"}</td><td>${run.operator ?? "–"}</td>
        <td>${t(`runstate.${run.state}`)}</td><td><${Verdict} verdict=${run.verdict} /></td></tr>`)}</tbody></table></div>`}
    ${runs && all.length === 0 && html`<p class="quiet">${t("history.none")}</p>`}
    <${Trouble} problem=${problemOlder} />
    ${runs && all.length > 0 && all.length % PAGE === 0 && html`<button type="button" onClick=${more}>${t("history.more")}</button>`}
  </section>`;
}

function Verdict({ verdict }) {
  if (!verdict) return html`<span>–</span>`;
  const mark = { pass: "✓", fail: "✗" }[verdict.toLowerCase()] ?? "○";
  return html`<span class="verdict">${mark} ${verdict.toUpperCase()}</span>`;
}

export function Run({ id }) {
  const { bench } = useStore();
  const seq = bench ? bench.seq : 0;
  const [run, problem, again] = useLoaded(() => api.run(id), [id, seq]);
  if (!run) return html`<${Loading} problem=${problem} />`;
  const going = !["closed", "interrupted"].includes(run.state);
  const facts = [
    ["history.state", t(`runstate.${run.state}`)], ["history.sequence", run.sequence], ["history.channel", run.channel],
    ["start.cell", run.cell], ["history.sample", run.sample ?? "–"], ["history.operator", run.operator ?? "–"],
    ["history.mode", t(`mode.${run.mode}`)], ["history.begun", when(run.begun_utc_s)], ["history.ended", when(run.ended_utc_s)],
    ["history.ended_by", run.ended_by ?? "–"],
  ];
  return html`<section aria-labelledby="run-title"><div class="bar"><h1 id="run-title">${t("run.title", { run: run.run_id })}</h1>
    ${going && html`<${Act} kind="stop" label=${t("stop.run")} act=${() => api.stop(run.run_id)} done=${refresh} />`}
    ${going && html`<a class="button" href=${`#/channel/${encodeURIComponent(run.channel)}`}>${t("start.look")}</a>`}</div>
    <dl class="facts-list">${facts.map(([key, value]) => html`<dt>${t(key)}</dt><dd>${value}</dd>`)}
      <dt>${t("history.verdict")}</dt><dd><${Verdict} verdict=${run.verdict} /></dd></dl>
    ${run.queue_why && html`<p class="why">${say(run.queue_why)}</p>`}
    ${run.faults.length > 0 && html`<${Faults} faults=${run.faults} />`}
    ${!going && html`<p class="acts"><a class="button primary" href=${api.reportLink(run.run_id, currentLanguage())} target="_blank" rel="noopener">${t("run.report")}</a>
      <a class="button" href=${api.bundleLink(run.run_id)} download>${t("run.bundle")}</a></p>`}
    ${run.state === "interrupted" && html`<${GiveUp} run=${run} done=${() => { again(); refresh(); }} />`}
    ${run.state === "closed" && run.awaiting.map((question) => html`<${Judge} key=${question} run=${run} question=${question} done=${again} />`)}
  </section>`;
}

/** An interrupted run holds its channel until a person goes on with it at the bench PC, or gives it up here. */
function GiveUp({ run, done }) {
  const { me } = useStore();
  const [note, setNote] = useState("");
  const [password, setPassword] = useState("");
  return html`<article class="card prompt"><h2>${t("run.interrupted")}</h2><p>${t("run.interrupted_note", { run: run.run_id })}</p>
    <${Field} label=${t("prompt.note")}><input value=${note} onInput=${(event) => setNote(event.target.value)} /></${Field}>
    <${Password} label=${t("sign.password", { name: me?.name ?? "" })} value=${password} change=${setPassword} note=${t("sign.meaning.close")} />
    <div class="acts"><${Act} disabled=${!password || !note.trim()} label=${t("run.close")} act=${() => api.closeRun(run.run_id, { note, password })} done=${done} /></div></article>`;
}

/** A judgement on a closed run. */
function Judge({ run, question, done }) {
  const { me } = useStore();
  const [note, setNote] = useState("");
  const [password, setPassword] = useState("");
  const give = (answer) => () => api.judge(run.run_id, { question, answer, note, password });
  return html`<article class="card prompt"><h2>${t("run.awaiting", { question })}</h2>
    <p>${t("run.judge_note")}</p>
    <${Field} label=${t("prompt.note")}><input value=${note} onInput=${(event) => setNote(event.target.value)} /></${Field}>
    <${Password} label=${t("sign.password", { name: me?.name ?? "" })} value=${password} change=${setPassword} note=${t("sign.meaning.judge")} />
    <div class="acts"><${Act} kind="primary" disabled=${!password} label=${t("prompt.yes")} act=${give(true)} done=${done} />
    <${Act} disabled=${!password} label=${t("prompt.no")} act=${give(false)} done=${done} /></div></article>`;
}
