// Every error code: what happened, whether it is safe, what to do.

import { html } from "./vendor/htm-preact.js";
import { catalogue, known, t } from "./words.js";

export const codes = () =>
  Object.keys(catalogue()).filter((key) => /^help\..+\.what$/.test(key)).map((key) => key.slice(5, -5)).sort();

export function Help({ code }) {
  const shown = code ? [code] : codes();
  return html`<section aria-labelledby="help-title"><h1 id="help-title">${t("help.title")}</h1>
    <p>${t("help.not_safety")}</p>
    ${!code && html`<div class="card"><h2>${t("help.keys")}</h2><ul><li>${t("help.key_stop")}</li><li>${t("help.key_wall")}</li><li>${t("help.key_scan")}</li></ul></div>`}
    ${shown.map((each) => html`<article key=${each} class="card"><h2><code>${each}</code></h2>
      ${known(`help.${each}.what`)
        ? html`<dl><dt>${t("help.what")}</dt><dd>${t(`help.${each}.what`)}</dd><dt>${t("help.safe")}</dt><dd>${t(`help.${each}.safe`)}</dd>
          <dt>${t("help.do")}</dt><dd>${t(`help.${each}.do`)}</dd></dl>`
        : html`<p>${t("help.unknown")}</p>`}</article>`)}
    ${code && html`<p><a href="#/help">${t("help.all")}</a></p>`}
  </section>`;
}
