// The reference page: shows the API's own OpenAPI document, and logs in through the API's own login, so that requests that are tried out
// carry the caller's token. Tokens stay in this page's memory; nothing is stored, and nothing but this origin is asked.
"use strict";

const PATHS = { login: "/auth/login", refresh: "/auth/refresh", logout: "/auth/logout" };
const session = { access: null, refresh: null, timer: 0 };
const part = (id) => document.getElementById(id);
let paths = {};
let schemes = [];
let ui;

function say(text) {
  part("notice").textContent = text;
  part("notice").hidden = !text;
}

async function send(path, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  if (session.access) headers.Authorization = "Bearer " + session.access;
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "omit" });
  const answer = response.status === 204 ? {} : await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail || answer.title || "The server answered " + response.status);
  return answer;
}

// Hands the token to every security scheme that takes one, under the name that the document gives it.
function authorize(token) {
  for (const [name, scheme] of schemes) {
    if (scheme.type !== "http" || !/^bearer$/i.test(scheme.scheme)) continue;
    if (token) ui.authActions.authorize({ [name]: { name, schema: scheme, value: token } });
    else ui.authActions.logout([name]);
  }
}

function forget() {
  clearTimeout(session.timer);
  session.access = session.refresh = null;
  authorize(null);
  part("who").hidden = true;
  part("login").hidden = false;
}

function keep(tokens) {
  session.access = tokens.access_token;
  session.refresh = tokens.refresh_token || null;
  authorize(session.access);
  clearTimeout(session.timer);
  if (!session.refresh || !paths[PATHS.refresh] || !(tokens.expires_in > 0)) return;
  const early = Math.min(30, tokens.expires_in / 2);
  session.timer = setTimeout(renew, (tokens.expires_in - early) * 1000);
}

async function renew() {
  try {
    keep(await send(PATHS.refresh, { refresh_token: session.refresh }));
  } catch (error) {
    forget();
    say("The session has ended: " + error.message);
  }
}

async function logIn(event) {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  say("");
  button.disabled = true;
  try {
    keep(await send(PATHS.login, { username: form.username.value, password: form.password.value }));
    part("name").textContent = form.username.value;
    form.reset();
    form.hidden = true;
    part("who").hidden = false;
  } catch (error) {
    say("Login failed: " + error.message);
  } finally {
    button.disabled = false;
  }
}

async function logOut() {
  try {
    if (paths[PATHS.logout]) await send(PATHS.logout, { refresh_token: session.refresh });
  } catch (error) {
    say("The server could not end the session: " + error.message);
  }
  forget();
}

function onLoaded() {
  const spec = ui.specSelectors.specJson().toJS();
  paths = spec.paths || {};
  schemes = Object.entries((spec.components || {}).securitySchemes || {});
  if (spec.info && spec.info.title) {
    document.title = spec.info.title + ": API reference";
    document.querySelector(".bar-title").textContent = spec.info.title;
  }
  part("login").hidden = !paths[PATHS.login];
}

function followColors() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", apply);
  apply();
}

followColors();
part("login").addEventListener("submit", logIn);
part("logout").addEventListener("click", logOut);
ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  filter: true,
  validatorUrl: null,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  persistAuthorization: false,
  onComplete: onLoaded,
});
