// Signing in and out, and, for an admin, the users.

import { html, useState } from "./vendor/htm-preact.js";
import { api } from "./api.js";
import { Act, Field, Loading, Password, Trouble, useLoaded } from "./parts.js";
import { t, when } from "./words.js";

export const ROLES = ["viewer", "operator", "engineer", "safety", "admin"];

export function Login({ entered, said }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const go = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await api.login(name.trim(), password);
      entered(await api.me());
    } catch (error) {
      setProblem(error);
      setPassword("");
    }
    setBusy(false);
  };
  return html`<section class="login" aria-labelledby="login-title"><h1 id="login-title">${t("login.title")}</h1>
    ${said && html`<p role="status">${said}</p>`}
    <form onSubmit=${go}><${Field} label=${t("login.name")}><input name="name" autocomplete="username" autofocus value=${name} onInput=${(event) => setName(event.target.value)} /></${Field}>
      <${Password} label=${t("login.password")} value=${password} change=${setPassword} />
      <button type="submit" class="primary" disabled=${busy || !name.trim() || !password}>${t("login.enter")}</button></form>
    <${Trouble} problem=${problem} />
    <p class="quiet">${t("login.stop")}</p></section>`;
}

export function Users() {
  const [users, problem, again] = useLoaded(api.users, []);
  const [name, setName] = useState("");
  const [role, setRole] = useState("operator");
  const [password, setPassword] = useState("");
  if (!users) return html`<section><h1>${t("users.title")}</h1><${Loading} problem=${problem} /></section>`;
  const roles = (chosen, change, label) => html`<select aria-label=${label} onChange=${(event) => change(event.target.value)}>
    ${ROLES.map((each) => html`<option value=${each} selected=${each === chosen}>${t(`role.${each}`)}</option>`)}</select>`;
  return html`<section aria-labelledby="users-title"><h1 id="users-title">${t("users.title")}</h1><${Trouble} problem=${problem} />
    <div class="scroll" tabindex="0" role="region" aria-label=${t("users.title")}><table><thead><tr><th>${t("login.name")}</th><th>${t("users.role")}</th>
      <th>${t("users.since")}</th><th>${t("users.state")}</th></tr></thead><tbody>${users.map((user) => html`<tr key=${user.name}>
      <td>${user.name}</td><td><${Role} user=${user} roles=${roles} done=${again} /></td><td>${when(user.created_utc_s)}</td>
      <td><${Act} label=${t(user.disabled ? "users.enable" : "users.disable")} act=${() => api.changeUser(user.name, { disabled: !user.disabled })} done=${again} /></td>
      </tr>`)}</tbody></table></div>
    <div class="card"><h2>${t("users.add")}</h2><div class="form">
      <${Field} label=${t("login.name")}><input autocomplete="off" value=${name} onInput=${(event) => setName(event.target.value)} /></${Field}>
      <${Field} label=${t("users.role")}>${roles(role, setRole, t("users.role"))}</${Field}>
      <${Field} label=${t("login.password")}><input type="password" autocomplete="new-password" value=${password} onInput=${(event) => setPassword(event.target.value)} /></${Field}></div>
      <${Act} kind="primary" disabled=${!name.trim() || !password} label=${t("users.add")} act=${() => api.addUser({ name: name.trim(), role, password })}
        done=${() => { setName(""); setPassword(""); again(); }} /></div></section>`;
}

function Role({ user, roles, done }) {
  const [role, setRole] = useState(user.role);
  return html`${roles(role, setRole, t("users.role_of", { name: user.name }))}
    ${role !== user.role && html` <${Act} label=${t("users.keep")} act=${() => api.changeUser(user.name, { role })} done=${done} />`}`;
}
