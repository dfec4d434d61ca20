// What a person keeps of their own: the password, and tokens for programs.

import { html, useState } from "./vendor/htm-preact.js";
import { api } from "./api.js";
import { Act, Field, Loading, Password, Trouble, useLoaded } from "./parts.js";
import { useStore } from "./store.js";
import { t, when } from "./words.js";

export function Mine() {
  const { me } = useStore();
  return html`<section aria-labelledby="mine-title"><h1 id="mine-title">${t("mine.title", { name: me.name })}</h1>
    <${OwnPassword} /><${Tokens} /></section>`;
}

/** Every session ends with it: the next request leads to the log-in. */
function OwnPassword() {
  const { me } = useStore();
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const [again, setAgain] = useState("");
  const differs = again !== "" && fresh !== again;
  return html`<div class="card"><h2>${t("mine.password")}</h2><p class="quiet">${t("mine.password_note")}</p><div class="form">
    <${Password} label=${t("sign.password", { name: me.name })} value=${old} change=${setOld} />
    <${Field} label=${t("mine.new")}><input type="password" autocomplete="new-password" value=${fresh} onInput=${(event) => setFresh(event.target.value)} /></${Field}>
    <${Field} label=${t("mine.again")}><input type="password" autocomplete="new-password" value=${again} onInput=${(event) => setAgain(event.target.value)} /></${Field}></div>
    ${differs && html`<p role="alert">${t("mine.differs")}</p>`}
    <${Act} kind="primary" disabled=${!old || !fresh || fresh !== again} label=${t("mine.change")} act=${() => api.ownPassword({ old, new: fresh })} done=${() => api.me().catch(() => {})} /></div>`;
}

function Tokens() {
  const { me } = useStore();
  const [tokens, problem, again] = useLoaded(api.tokens, []);
  const [label, setLabel] = useState("");
  const [password, setPassword] = useState("");
  const [made, setMade] = useState(null);
  return html`<div class="card"><h2>${t("tokens.title")}</h2><p class="quiet">${t("tokens.note")}</p>
    ${!tokens ? html`<${Loading} problem=${problem} />` : html`<${Trouble} problem=${problem} />
      ${tokens.length === 0 ? html`<p class="quiet">${t("tokens.none")}</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label=${t("tokens.title")}><table>
        <thead><tr><th>${t("tokens.label")}</th><th>${t("login.name")}</th><th>${t("users.role")}</th><th>${t("tokens.until")}</th><th>${t("users.state")}</th></tr></thead>
        <tbody>${tokens.map((each) => html`<tr key=${each.id}><td>${each.label}</td><td>${each.user}</td><td>${t(`role.${each.role}`)}</td><td>${when(each.expires_utc_s)}</td>
          <td><${Act} label=${t("tokens.end")} act=${() => api.endToken(each.id)} done=${again} /></td></tr>`)}</tbody></table></div>`}`}
    ${made && html`<p class="notice" role="status"><strong>${t("tokens.made")}</strong> <code>${made}</code></p>`}
    <div class="form"><${Field} label=${t("tokens.label")}><input autocomplete="off" value=${label} onInput=${(event) => setLabel(event.target.value)} /></${Field}>
      <${Password} label=${t("sign.password", { name: me.name })} value=${password} change=${setPassword} /></div>
    <${Act} disabled=${!label.trim() || !password} label=${t("tokens.add")} act=${() => api.addToken({ label: label.trim(), password })}
      done=${(kept) => { setMade(kept.token); setLabel(""); setPassword(""); again(); }} /></div>`;
}
