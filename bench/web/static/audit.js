// The trail of changes: who did what, when and why, and whether the chain holds.

import { html, useState } from "./vendor/htm-preact.js";
import { api } from "./api.js";
import { Loading, Trouble, useLoaded } from "./parts.js";
import { t, when } from "./words.js";

const PAGE = 100;

/** What was and what is, as the trail keeps it. */
const shown = (value) => (value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value));

export function Audit() {
  const [words, setWords] = useState("");
  const [asked, setAsked] = useState("");
  const [older, setOlder] = useState([]);
  const [problemOlder, setProblemOlder] = useState(null);
  const [trail, problem] = useLoaded(() => api.audit({ search: asked, limit: PAGE }), [asked]);
  const all = trail ? [...trail.records, ...older] : [];
  const search = (event) => {
    event.preventDefault();
    setOlder([]);
    setAsked(words.trim());
  };
  const more = async () => {
    try {
      setOlder([...older, ...(await api.audit({ search: asked, limit: PAGE, before: all[all.length - 1].seq })).records]);
    } catch (error) {
      setProblemOlder(error);
    }
  };
  return html`<section aria-labelledby="audit-title"><h1 id="audit-title">${t("audit.title")}</h1>
    <form class="bar" role="search" onSubmit=${search}><label class="inline">${t("history.search")}
      <input type="search" value=${words} onInput=${(event) => setWords(event.target.value)} /></label>
      <button type="submit">${t("history.find")}</button></form>
    ${!trail ? html`<${Loading} problem=${problem} />` : html`
      ${trail.broken === null
        ? html`<p class="good">${t("audit.holds", { count: trail.count })} <code>${trail.head.slice(0, 16)}</code></p>`
        : html`<p class="notice bad" role="alert"><strong>${t("audit.broken", { record: trail.broken })}</strong> ${trail.why}</p>`}
      <div class="scroll" tabindex="0" role="region" aria-label=${t("audit.title")}><table><thead><tr><th>${t("audit.when")}</th>
        <th>${t("audit.who")}</th><th>${t("audit.act")}</th><th>${t("audit.on")}</th><th>${t("audit.outcome")}</th><th>${t("audit.old")}</th>
        <th>${t("audit.new")}</th><th>${t("audit.why")}</th><th>${t("audit.signed")}</th></tr></thead>
        <tbody>${all.map((each) => html`<tr key=${each.seq}><td>${when(each.utc_s)}</td><td>${each.who} · ${each.role}</td><td><code>${each.act}</code></td>
          <td>${each.on}</td><td>${each.outcome}</td><td>${shown(each.old)}</td><td>${shown(each.new)}</td><td>${each.why}</td>
          <td>${each.signature ? each.signature.meaning : ""}</td></tr>`)}</tbody></table></div>`}
    ${trail && all.length === 0 && html`<p class="quiet">${t("audit.none")}</p>`}
    <${Trouble} problem=${problemOlder} />
    ${trail && all.length > 0 && all.length % PAGE === 0 && html`<button type="button" onClick=${more}>${t("history.more")}</button>`}
  </section>`;
}
